"""Suite files that were made to break what reads them: one sentence each, at once, and nothing runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from sgbench.api import load_suite, make_plan
from sgbench.base.errors import UserError
from sgbench.cells.prompts import load_prompts
from sgbench.files.yaml_file import parse_yaml
from sgbench.suite.load import MOST_BYTES

CHAIN = range(1, 20)
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in CHAIN)
MERGES = "a0: &a0 {k: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in CHAIN)


def outcome(path: Path) -> str:
    """The message of a suite's error, or `plans`."""
    try:
        make_plan(load_suite(path), path.parent / "results")
    except UserError as error:
        return str(error)
    return "plans"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fuzzed.yaml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "suite: !!python/object/apply:os.system ['touch touched']",
            "line 1: the file is not valid YAML (tags such as",
        ),
        ("suite: !!python/name:os.system", "tags such as"),
        ("suite: !!binary aGk=", "tags such as"),
        (LAUGHS, "with its aliases written out it holds more than 1,000,000 values"),
        (MERGES, "with its aliases written out it holds more than 1,000,000 values"),
        ("a: &a [*a]", "an alias refers to a node that contains it"),
        ("- " * 100_000, "nested"),
        ("[" * 100_000, "nest"),
        ("{a: " * 5_000, "nested more than 30 levels deep"),
        ("suite: a\nsuite: b", "line 2: the file is not valid YAML (the key 'suite' is given twice)"),
        ("? [a]\n: 1", "a key is not text"),
        ("1: 2", "a key is not text"),
        (f"seed: {'9' * 5_000}", "a number has more than 40 characters"),
        (f"title: {'x' * 20_000}", "a text has more than 10,000 characters"),
        ('title: "\\0"', "a text holds the control character U+0000"),
        ('title: "\\x1b[2J"', "a text holds the control character U+001B"),
        ("title: a\u202eb", "a text holds the control character U+202E"),
        ("a\x1bb", "control characters are not allowed"),
        ("seed: .nan", "suite: the key is missing"),
        ("", "a suite file must be a mapping of keys"),
    ],
)
def test_hostile_yaml(text: str, message: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    file.write_text(text, encoding="utf-8")
    found = outcome(file)
    assert message in found
    assert found.startswith(str(file))
    assert not Path("touched").exists()


def test_anchors_and_merge_keys_are_read() -> None:
    found = parse_yaml("base: &b {x: 1, y: 2}\nown: {<<: *b, y: 3}\nagain: *b\nday: 2020-01-01\n")
    assert found["own"] == {"x": 1, "y": 3}
    assert found["again"] == {"x": 1, "y": 2}
    assert found["day"] == "2020-01-01"


def test_a_byte_order_mark_is_no_fault(file: Path) -> None:
    written(file)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert outcome(file) == "plans"


def test_what_is_no_ordinary_file(file: Path) -> None:
    os.mkfifo(file)
    assert "this is not a regular file" in outcome(file)
    assert "this is not a regular file" in outcome(Path("/dev/zero"))
    assert "cannot be read" in outcome(file.parent)
    assert "there is no such suite file" in outcome(file.parent / "a\0b.yaml")


def test_a_huge_file_is_not_read(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(MOST_BYTES * 1_000)
    assert "the file has more than 8,388,608 bytes" in outcome(file)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.json", "[" * 100_000, "it is not JSON"),
        ("p.jsonl", '{"prompt": "a", "x": ' + "9" * 5_000 + "}", "it is not JSON"),
        ("p.jsonl", '{"prompt": "a", "x": ' + "[" * 900 + "]" * 900 + "}", ""),
        ("p.txt", "x" * 3_000, "the prompt has 3000 characters"),
        ("p.txt", "a\x1b[2Jb", "control character U+001B"),
        ("p.txt", "a\u202eb", "control character U+202E"),
        ("p.json", '["\\ud800"]', "control character U+D800"),
        ("p.csv", 'prompt\n"' + "x" * 200_000, "it is not CSV"),
    ],
)
def test_hostile_prompts(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    if message:
        with pytest.raises(UserError, match=message.replace("+", r"\+")):
            load_prompts(str(tmp_path / name))
    else:
        assert len(load_prompts(str(tmp_path / name)).prompts) == 1


def test_prompts_that_are_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.txt")
    with pytest.raises(UserError, match="this is not a regular file"):
        load_prompts(str(tmp_path / "p.txt"))


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/b", "a\\b", ".", "..", "", "A", "a b", "a\tb", "nul", "com1.x", "x."]
)
def test_names_that_are_no_folders(name: str, file: Path) -> None:
    assert "fuzzed.yaml: suite: " in outcome(written(file, suite=name))


def written(file: Path, **changes: object) -> Path:
    base = {
        "suite": "a",
        "title": "t",
        "seed": 0,
        "samples": 40,
        "metrics": [],
        "model": "fashion-routing",
        "sampler": {"name": "euler", "steps": 2},
        "sweep": [{"guidance": "none"}],
    }
    file.write_bytes(yaml.safe_dump({**base, **changes}, allow_unicode=True).encode())
    return file


CFG = {"guidance": "cfg", "scale": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # What the tests above found, each in its smallest form.
        ({"metrics": [["fd"]]}, "metrics[0]: there is no such metric"),
        (
            {"sampler": {"name": "euler", "steps": 2, "shift": 1e-300}},
            "sampler.shift: a shift is a number from 0.001 to 1000",
        ),
        ({"model": "sit S/2 256 weights=http://["}, "this is not a valid address"),
        ({"model": f"sit S/2 {'9' * 200} weights=random"}, "resolution"),
        ({"model": f"sit S/2 256 weights=random iterations={'9' * 200}"}, "not a number of training iterations"),
        ({"model": f"tread-sit S/2 256 route={'9' * 200}-1 weights=random"}, "is not a route"),
        ({"model": "sit S/2 256 weights=" + "x" * 300}, "a file name has at most 255 bytes"),
        ({"reference": "x" * 300, "metrics": ["fid"]}, "reference: a file name has at most 255 bytes"),
        ({"reference": "x/" * 3000, "metrics": ["fid"]}, "reference: a file name has at most"),
        ({"suite": "x" * 300}, "suite: string should have at most 100 characters"),
        ({"suite": "con"}, "suite: a name that ends in a dot"),
        ({"suite": "a."}, "suite: a name that ends in a dot, or names a device"),
        ({"samples": 10**30}, "samples: input should be less than"),
        ({"sweep": [{**CFG, "interval": "noise 0 to 1e999"}]}, "is not an interval"),
        ({"sweep": [{**CFG, "scale_schedule": "power-cosine 1e999"}]}, "is not a schedule of the scale"),
        ({"sweep": [{"guidance": "slg", "layers": "1-999999999999"}]}, "goes beyond block 10000"),
        ({"sweep": [{"guidance": "slg", "layers": "9" * 5000 + "-1"}]}, "goes beyond block 10000"),
        (
            {"sweep": [{**CFG, "scale": list(range(1, 2000)), "steps": list(range(1, 2000))}]},
            "sweep[0]: with this entry the sweep has 3,996,001 cells",
        ),
    ],
)
def test_what_fuzzing_found(changes: dict[str, object], message: str, file: Path) -> None:
    assert message in outcome(written(file, **changes))


@pytest.mark.parametrize("text", ["seed: 0b_", "seed: 0x_", "seed: 0xffffffffffffffffffffffffffffffffffffffffffff"])
def test_numbers_that_yaml_cannot_read(text: str, file: Path) -> None:
    file.write_text(text)
    assert "fuzzed.yaml, line 1: the file is not valid YAML" in outcome(file)
