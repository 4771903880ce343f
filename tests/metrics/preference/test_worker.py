"""A scorer's process that does all that a process can do wrong, and prompts with all that a line can break on."""

from __future__ import annotations

import ast
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sgbench.base.errors import NoScoreError, UserError
from sgbench.metrics.judges.catalogue import JUDGES, WORKER
from sgbench.metrics.preference import worker, worker_main

START = """
import json, os, sys, time
def say(**answer): print(json.dumps(answer), flush=True)
def asked(): return json.loads(sys.stdin.buffer.readline())
"""
READY = START + "say(ready=True)\n"
Make = Callable[..., worker.Score]
IMAGES = [np.full((4, 5, 3), i, np.uint8) for i in range(3)]
PROMPTS = ["a", "b", "c"]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A scorer by a process that runs the given code, one for each call, with a temporary folder of its own."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    def built(code: str, start_seconds: float = 30, score_seconds: float = 30) -> worker.Score:
        script = tmp_path / "script.py"
        script.write_text(code)
        weights = [tmp_path / "weights.pt"]
        return scorer("imagereward", Path(sys.executable), weights, "cpu", script, start_seconds, score_seconds)

    return built


def scorer(*process: Any) -> worker.Score:
    """Scores by a process of its own for each call."""

    def scores(images: worker.Images, prompts: Sequence[str]) -> np.ndarray:
        with worker.worker(*process) as score:
            return score(images, prompts)

    return scores


def gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_every_pair_is_asked_and_images_arrive_to_the_bit(make: Make, tmp_path: Path) -> None:
    code = """
from PIL import Image
for line in sys.stdin.buffer:
    pair = json.loads(line)
    pixels = Image.open(pair["path"])
    say(id=pair["id"], score=sum(pixels.getpixel((4, 3))) + len(pair["prompt"]) / 10 + (pixels.size != (5, 4)))
"""
    scores = make(READY + code)(IMAGES, ["a", "bb", "ccc"])
    assert scores == pytest.approx([0.1, 3.2, 6.3])
    assert scores.dtype == np.float64
    assert list((tmp_path / "temporary").iterdir()) == []


ECHO = """
import hashlib
for line in sys.stdin.buffer:
    pair = json.loads(line)
    say(id=pair["id"], score=int(hashlib.sha256(pair["prompt"].encode("utf-8", "surrogatepass")).hexdigest()[:8], 16))
"""


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompts=st.lists(st.text(max_size=40), min_size=1, max_size=30))
@example(
    prompts=["two\nlines\r\n", "\u2028 \u2029 \x85 \x0b \x0c \x00", '{"id": 1, "score": 5}', "<|endoftext|> &lt;b>", ""]
)
@example(prompts=["\ud800", "\\", '"', "é" * 40_000])
def test_prompts_arrive_to_the_character(make: Make, prompts: list[str]) -> None:
    import hashlib

    expected = [int(hashlib.sha256(p.encode("utf-8", "surrogatepass")).hexdigest()[:8], 16) for p in prompts]
    assert make(READY + ECHO)([IMAGES[0]] * len(prompts), prompts).tolist() == expected


FAULTS = {
    "dies at the start": (
        "import sys; sys.stderr.write('loading\\n  CUDA is gone\\n\\n'); sys.exit(3)",
        r"its process ended with status 3; its last message: CUDA is gone; fix what",
    ),
    "cannot import its package": (
        "import not_there_at_all",
        r"ended with status 1; its last message: ModuleNotFoundError: No module named 'not_there_at_all'",
    ),
    "dies in the middle": (
        READY + "say(id=asked()['id'], score=0.5)\nasked()\nsys.stderr.write('10%\\r20%\\r')\nos._exit(7)",
        r"its process ended with status 7; its last message: 20%",
    ),
    "is killed in the middle": (
        READY + "say(id=asked()['id'], score=0.5)\nasked()\nos.kill(os.getpid(), 9)",
        r"its process was ended by signal 9 \(Killed\); fix what",
    ),
    "stops without a word": (
        READY + "say(id=asked()['id'], score=0.5)\nasked()",
        r"its process ended with status 0; fix what",
    ),
    "closes its output": (
        READY + "asked()\nos.close(1)\ntime.sleep(60)",
        r"its process closed its output; fix what",
    ),
    "is not ready": (
        START + "say(ready=False)\nasked()",
        r'began with \{"ready": false\} and did not report that it',
    ),
    "prints before it is ready": (
        START + "print('Loading checkpoint shards')\nsay(ready=True)\nasked()",
        r"its process answered 'Loading checkpoint shards', which is not a valid",
    ),
    "answers garbage": (
        READY + "say(id=asked()['id'], score=1)\nasked()\nos.write(1, b'\\xff\\xfe{]\\n')\nasked()",
        r"its process answered '��\{\]', which is not a valid",
    ),
    "answers no object": (
        READY + "asked()\nprint('[1, 2]', flush=True)\nasked()",
        r"'\[1, 2\]', which is not a valid",
    ),
    "nests without end": (
        READY + "asked()\nprint('[' * 100_000, flush=True)\nasked()",
        r"which is not a valid",
    ),
    "never ends a line": (
        READY + "asked()\nwhile True: os.write(1, b'x' * 5000)",
        r"its process answered 'x{80}', which is not a valid",
    ),
    "gives no score": (
        READY + "say(id=asked()['id'])\nasked()",
        r"image number 0 the score null, which is not a f",
    ),
    "gives NaN": (
        READY + "say(id=asked()['id'], score=2)\nsay(id=asked()['id'], score=float('nan'))\nasked()",
        r"gave image number 1 the score NaN, which is not a finite number",
    ),
    "gives infinity": (
        READY + "say(id=asked()['id'], score=float('-inf'))\nasked()",
        r"the score -Infinity, which",
    ),
    "gives a number too great": (READY + "say(id=asked()['id'], score=10**400)\nasked()", r"the score 1000000000"),
    "gives a truth": (
        READY + "say(id=asked()['id'], score=True)\nasked()",
        r"the score true, which is not a finite",
    ),
    "gives a text": (
        READY + "say(id=asked()['id'], score='0.3')\nasked()",
        r'the score "0.3", which is not a finite',
    ),
    "answers twice": (
        READY + "i = asked()['id']\nsay(id=i, score=1)\nsay(id=i, score=1)\nasked()\nasked()",
        r"answered for number 0 when asked for number 1",
    ),
    "answers the last one twice": (
        READY + "for _ in range(3): i = asked()['id']; say(id=i, score=i)\nsay(id=2, score=2)",
        r"""answered more than was requested \('\{"id": 2, "score": 2\}'\)""",
    ),
    "answers in another order": (
        READY + "asked()\nsay(id=1, score=1)\nasked()",
        r"answered for number 1 when asked for number 0",
    ),
    "answers for a name": (READY + "asked()\nsay(id='0', score=1)\nasked()", r'answered for number "0" when asked'),
    "fails at the end": (
        READY + "for _ in range(3): i = asked()['id']; say(id=i, score=i)\nsys.exit('the disk is full')",
        r"ended with status 1; its last message: the disk is full",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence(make: Make, tmp_path: Path, fault: str) -> None:
    code, told = FAULTS[fault]
    with pytest.raises(NoScoreError, match=rf"^imagereward: .*{told}") as caught:
        make(code)(IMAGES, PROMPTS)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "told"),
    [
        (START + "time.sleep(60)", "did not get ready within 0.5 seconds and was ended"),
        (READY + "asked()\ntime.sleep(60)", "did not score image number 0 within 0.5 seconds and was ended"),
        (
            READY + "for _ in range(3): say(id=asked()['id'], score=1)\ntime.sleep(60)",
            "did not end within 0.5 seconds and was ended",
        ),
        # It reads nothing at all, so the prompt fills the pipe.
        (READY + "time.sleep(60)", "did not score image number 0 within 0.5 seconds"),
    ],
)
def test_a_process_that_hangs_is_ended(make: Make, code: str, told: str) -> None:
    begun = time.monotonic()
    # Starting Python may take longer than half a second where the machine is busy.
    hanging = make(code, start_seconds=0.5 if "get ready" in told else 30, score_seconds=0.5)
    with pytest.raises(NoScoreError, match=told):
        hanging(IMAGES, ["x" * 300_000, "b", "c"])
    assert time.monotonic() - begun < 25


def test_nothing_outlives_the_call(make: Make, tmp_path: Path) -> None:
    """A child that holds the pipe open and ignores every polite signal, left by a process that ends well."""
    pids = tmp_path / "pids"
    code = f"""
import subprocess
child = "import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (1, 2, 15)]; time.sleep(60)"
started = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.DEVNULL)
open({str(pids)!r}, "w").write(f"{{os.getpid()}} {{started.pid}}")
for _ in range(3): say(id=asked()["id"], score=1)
os._exit(0)
"""
    assert make(READY + code)(IMAGES, PROMPTS).tolist() == [1, 1, 1]
    deadline = time.monotonic() + 5
    while not all(gone(int(pid)) for pid in pids.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_an_error_of_the_caller_ends_the_process(make: Make, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = START + f"open({str(pids)!r}, 'w').write(str(os.getpid()))\nsay(ready=True)\ntime.sleep(60)"
    with pytest.raises(UserError, match=r"image number 1 is float64 \[2\], and uint8 \[height, width, 3\] is expected"):
        make(code)([IMAGES[0], np.zeros(2)], ["a", "b"])  # type: ignore[list-item]
    assert gone(int(pids.read_text()))


def test_complaints_without_end_block_nothing(make: Make) -> None:
    code = READY + "sys.stderr.write('warning: ' * 400_000)\nfor _ in range(3): say(id=asked()['id'], score=1)"
    assert make(code)(IMAGES, PROMPTS).tolist() == [1, 1, 1]


def test_a_python_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    absent = scorer("hpsv3", tmp_path / "bin" / "python", [], "cpu")
    with pytest.raises(NoScoreError, match=r"hpsv3: its Python cannot be started \(No such file or directory\); check"):
        absent(IMAGES, PROMPTS)


def test_a_disk_that_is_full_is_one_sentence(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(worker.Image.Image, "save", full)
    with pytest.raises(
        NoScoreError, match=r"cannot be written for its process \(No space left on device\); make room in"
    ):
        make(READY + "asked()")(IMAGES, PROMPTS)


def test_another_number_of_prompts_asks_nothing(make: Make, tmp_path: Path) -> None:
    note = f"question = asked(); open({str(tmp_path / 'asked')!r}, 'w').close(); say(id=question['id'], score=1)"
    with pytest.raises(UserError, match="there are 3 images and 1 prompts"):
        make(READY + note)(IMAGES, ["a"])
    assert not (tmp_path / "asked").exists()
    assert make(READY + note)(IMAGES[:1], ["a"]).tolist() == [1]
    assert (tmp_path / "asked").exists()


def test_the_process_is_isolated_and_asks_no_hub(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    code = (
        READY
        + """
alone = sys.flags.isolated and "/nowhere" not in sys.path and os.environ["HF_HUB_OFFLINE"] == "1"
say(id=asked()["id"], score=int(alone))
"""
    )
    assert make(code)(IMAGES[:1], ["a"]).tolist() == [1]


def test_the_shipped_script_needs_nothing_of_sgbench_and_keeps_prints_out_of_answers(tmp_path: Path) -> None:
    """Its real loop, with packages of the same names and calls in their place, for the two that cannot run here."""
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "torch.py").write_text("import contextlib\ninference_mode = contextlib.nullcontext\n")
    (packages / "hpsv3.py").write_text(
        "class HPSv3RewardInferencer:\n"
        "    def __init__(self, checkpoint_path, device):\n"
        "        print('Flash Attention is not installed.'); self.told = checkpoint_path.endswith('.safetensors')\n"
        "    def reward(self, image_paths, prompts):\n"
        '        print(\'{"id": 0, "score": 99}\')\n'
        "        return [[len(prompts[0]) + self.told, 0.1]]\n"
    )
    (packages / "ImageReward.py").write_text(
        "class Network:\n"
        "    def score(self, prompt, image): return -float(len(prompt)) if image.endswith('.png') else None\n"
        "def load(name, device, med_config):\n"
        "    print('load checkpoint from', name)\n"
        "    return Network() if med_config.endswith('.json') else None\n"
    )
    text = worker.SCRIPT.read_text()
    assert "sgbench" not in text
    script = tmp_path / "script.py"
    script.write_text(
        text.replace("import argparse\n", f"import argparse\nimport sys; sys.path.insert(0, {str(packages)!r})\n")
    )
    python = Path(sys.executable)
    three = scorer("hpsv3", python, [tmp_path / "HPSv3.safetensors"], "cpu", script)
    assert three(IMAGES, ["a", "bb", "ccc"]).tolist() == [2, 3, 4]
    files = [tmp_path / "ImageReward.pt", tmp_path / "med_config.json"]
    assert scorer("imagereward", python, files, "cpu", script)(IMAGES, ["a", "bb", "c"]).tolist() == [-1, -2, -1]


def test_the_shipped_script_knows_the_scorers_that_need_it_and_is_python_3_9() -> None:
    assert set(worker_main.SCORERS) == {name for name, judge in JUDGES.items() if judge.code == WORKER}
    ast.parse(worker.SCRIPT.read_text(), feature_version=(3, 9))


def test_no_descriptor_is_left_open(make: Make) -> None:
    score = make(READY + "for _ in range(3): say(id=asked()['id'], score=1)")
    score(IMAGES, PROMPTS)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    score(IMAGES, PROMPTS)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
