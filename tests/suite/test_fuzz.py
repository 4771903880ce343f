"""Suites of every kind, valid, nearly valid and garbage: each plans, or ends in one sentence. Never anything else.

SGBENCH_FUZZ is the number of suites, 10,000 unless given.
"""

from __future__ import annotations

import copy
import json
import math
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from sgbench.api import load_suite, make_plan
from sgbench.cli import app
from sgbench.errors import UserError
from sgbench.guidance import RULES, Rule
from sgbench.guidance.branches import Parameter
from sgbench.guidance.presets import PRESETS
from sgbench.sampling.samplers import SAMPLERS
from sgbench.suite.schema import SamplerSettings, Suite, SweepEntry
from sgbench.suite.sweep import check_samples

EXAMPLES = int(os.environ.get("SGBENCH_FUZZ", "10000"))
# A guard against loops without end, a thousand times what the slowest example takes.
HANGS_AFTER_SECONDS = 60
FUZZ = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)

# Valid: from the vocabulary of rules, samplers, schedules, presets and models

# (models of one kind, how many of their classes or prompts, samplers, what the suite says besides)
EMBEDDED = {"reference": "fashion-mnist", "samples": 40}
KINDS: list[tuple[list[Any], list[str], dict[str, Any]]] = [
    (["fashion-routing", "fashion-masking", "fashion-dense"], ["euler", "heun", "euler-maruyama"], EMBEDDED),
    (["shapes"], ["euler", "heun"], {"prompts": "shapes", "samples": 200, "metrics": ["composition"]}),
    (
        ["tread-sit XL/2 256 weights=random", {"family": "sit", "size": "B/4", "weights": "random"}],
        ["euler", "heun", "euler-maruyama"],
        {"autoencoder": "none"},
    ),
    ([{"family": "sprint", "size": "L/2", "resolution": 512, "weights": "random"}], ["euler-maruyama"], {}),
    (["dit-xl-256", "mdtv2-xl-256", "tread-dit S/2 256 weights=gone.safetensors"], ["ddim", "ddpm"], {}),
    (["maskdit-xl-256-guided"], ["edm-heun"], {"compile": "default"}),
    (["prx 512 weights=random", "prx 256 route=2-5 weights=random"], ["euler"], {"prompts": "shapes"}),
]
FASHION = ["fd", "fd_lite0", "kd", "precision", "recall", "density", "label_agreement", "nearest_train"]
GAMMA_PAIRS = [(0, 0.5), (0.1, 0.9), (0.25, 0.75), ("linear 0 to 0.3", "linear 0.4 to 0.9"), ("cosine 0 to 0.2", 0.5)]
SCHEDULES = ["constant", "linear", "cosine", "power-cosine 4", "linear falling"]
INTERVALS = ["always", "progress 0.2 to 0.8", "noise 0 to 0.7"]


def some(values: list[Any], most: int = 2) -> st.SearchStrategy[Any]:
    """One value without brackets, or a short list of different ones."""
    one = st.sampled_from(values)
    return one | st.lists(one, min_size=1, max_size=most, unique_by=repr)


def numbers(low: float, high: float) -> st.SearchStrategy[Any]:
    ends = [v for v in (low, (low + min(high, low + 3)) / 2, min(high, 8.0)) if v]
    return some([1.5, *ends]) if low <= 1.5 <= high else some(ends or [0.5])


def parameter_values(parameter: Parameter) -> st.SearchStrategy[Any]:
    if parameter.text == "layers":
        return some(["3", "3-4", "1,3-5"])
    if parameter.text == "interval":
        return some(INTERVALS)
    return some([0, 1]) if parameter.whole else numbers(parameter.low, parameter.high)


@st.composite
def entries(draw: st.DrawFn, samplers: list[str]) -> dict[str, Any]:
    """A sweep entry of one rule or preset, with settings that the rule takes."""
    name = draw(st.sampled_from([*RULES, *PRESETS]))
    preset = PRESETS[name].settings if name in PRESETS else {}
    rule: Rule = RULES[PRESETS[name].rule if name in PRESETS else name]
    entry: dict[str, Any] = {"guidance": name}
    chosen = draw(st.sets(st.sampled_from(sorted(set(SweepEntry.model_fields) - {"guidance", "model"})), max_size=3))
    if rule.takes_scale and "scale" not in preset:
        entry["scale"] = draw(numbers(*rule.scale_range))
    strong, weak = draw(st.sampled_from(GAMMA_PAIRS))
    wanted = rule.gammas_default is None or "gamma_weak" in chosen
    if rule.takes_gamma_strong and "gamma_strong" not in preset and wanted:
        entry["gamma_strong"] = strong
    if rule.takes_gamma_weak and "gamma_weak" not in preset and wanted:
        entry["gamma_weak"] = weak
    for parameter in rule.parameters:
        if parameter.default is None or parameter.name in chosen:
            entry[parameter.name] = draw(parameter_values(parameter))
    if rule.guided:
        steering = {"interval": INTERVALS, "scale_schedule": SCHEDULES, "rescale": [0, 0.7], "channels": ["all", 1]}
        entry |= {key: draw(some(values)) for key, values in steering.items() if key in chosen}
    if "sampler" in chosen:
        entry["sampler"] = draw(some(samplers))
    if "steps" in chosen:
        entry["steps"] = draw(some([2, 4, 50]))
    return entry


@st.composite
def valid(draw: st.DrawFn) -> dict[str, Any]:
    """A suite that means something. Not every one plans: a model need not serve a rule."""
    models, samplers, more = draw(st.sampled_from(KINDS))
    sampler = draw(st.sampled_from(samplers))
    kind = SAMPLERS[sampler]
    extras: dict[str, Any] = {}
    if kind.shifts and draw(st.booleans()):
        extras["shift"] = draw(st.sampled_from([1, 2.5]))
    if kind.churns and draw(st.booleans()):
        extras |= {"churn": 40, "churn_min": 0.05, "churn_max": 50}
    sweep = draw(st.lists(entries(samplers), min_size=1, max_size=3))
    content: dict[str, Any] = {
        "suite": draw(st.sampled_from(["a", "fuzz-1", "b.c_d"])),
        "title": draw(st.sampled_from(["T", "Größe & <b>", "=1+1"])),
        "seed": draw(st.sampled_from([0, 7, 2**62])),
        "samples": draw(st.sampled_from([20, 100, 50_000])),
        "labels": draw(st.sampled_from(["balanced", "random"])),
        "dtype": draw(st.sampled_from(["float32", "bfloat16", "auto"])),
        "metrics": [],
        "model": draw(some(models)),
        "sampler": {"name": sampler, "steps": draw(st.sampled_from([1, 2, 10, 250])), **extras},
        "sweep": sweep,
        **more,
    }
    if "reference" in more:
        content["metrics"] = draw(st.lists(st.sampled_from(FASHION), max_size=3, unique=True))
    if draw(st.booleans()):
        content["presets"] = {"quick": {"samples": 40, "sweep": sweep[:1]}}
    return content


# Nearly valid: a valid suite with something broken somewhere

ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 0.5, 1e-300, 1e308, -1e308, math.inf, -math.inf, math.nan, 2**63, 10**30),
    *(
        "",
        " ",
        ".",
        "..",
        "../x",
        "/etc/passwd",
        "a\\b",
        "con",
        "x" * 300,
        "\x00",
        "\x1b[31m",
        "a\nb",
        "[red]x",
        "=cmd|x",
    ),
    *(
        "all",
        "none",
        "own",
        "off",
        "auto",
        "random",
        "~nobody/x",
        "~",
        "hf://a/b/c",
        "http://[",
        "https://x/y",
        "/",
        "a b",
    ),
    *("1-999999999999", "9-1", "0", "-", "٣-٤", "1,,2", "noise 0 to 1e999", "noise 1 to 0", "progress 0 to 2"),
    *(
        "linear 0 to 0.5",
        "cosine 1e999 to 0",
        "power-cosine 0",
        "power-cosine 1e999",
        "linear falling falling",
        "falling",
    ),
    *("tread-sit XL/2 256", "tread-sit XL/2 99999968 weights=random", "tread-sit XL/2 256 weights='", "prx weights=/"),
    *(
        "sprint XL/2 64 route=0-1 weights=random",
        "dit S/8 64 weights=random",
        "tread-sit S/2 256 route=9-2 weights=random",
    ),
    *(
        "fid",
        "geneval",
        "composition",
        "lpips",
        "hpsv2.1",
        "shapes",
        "imagenet-256",
        "prompts.txt",
        "x/",
        "1e5",
        "2020-01-01",
    ),
    *(
        [],
        {},
        [[]],
        [None],
        [{}],
        {"a": 1},
        [1, "a", None],
        {"family": "sit"},
        {"name": "euler"},
        [0.5, [0.5]],
        "é" * 5,
    ),
    *(
        {"family": "tread-sit", "size": "S/2", "weights": "random", "route": [[2, 5], [1, 9]]},
        ["cfg", "cgf"],
        list(range(40)),
    ),
]
KEYS = sorted(
    {*Suite.model_fields, *SweepEntry.model_fields, *SamplerSettings.model_fields, "quick", "x", "", "a.b", "é"}
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside of a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def at(content: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        content = content[key]
    return content


def break_one(draw: st.DrawFn, content: dict[str, Any]) -> None:
    """Change one place of a document, deep or shallow."""
    ways = list(places(content))[1:]
    if not ways:
        return
    # Faults at the top are found first, so most go to the deeper half; and most are of the right type.
    ways.sort(key=lambda path: (-len(path), repr(path)))
    chance = random.Random(draw(st.integers(0, 2**64)))
    path = chance.choice(ways[: len(ways) // 2 or 1] if chance.random() < 0.7 else ways)
    parent, key = at(content, path[:-1]), path[-1]
    how = chance.choice(["odd"] * 7 + ["remove", "rename", "wrap", "swap", "add", "add", "unwrap", "many"])
    event(f"mutation: {how}")
    if how == "odd":
        alike = [value for value in ODD if type(value) is type(parent[key]) or chance.random() < 0.1]
        parent[key] = copy.deepcopy(chance.choice(alike or ODD))
    elif how == "remove":
        del parent[key]
    elif how == "wrap":
        parent[key] = chance.choice([[parent[key]], {"a": parent[key]}, [parent[key]] * 2])
    elif how == "unwrap" and isinstance(parent[key], list | dict) and parent[key]:
        inside = parent[key]
        parent[key] = next(iter(inside.values())) if isinstance(inside, dict) else inside[0]
    elif how == "many":
        parent[key] = [parent[key]] * 3
    elif how == "swap":
        other = chance.choice(ways)
        parent[key] = copy.deepcopy(at(content, other))
    elif isinstance(parent, dict):
        new = chance.choice(KEYS)
        parent[new] = parent.pop(key) if how == "rename" else copy.deepcopy(chance.choice(ODD))


@st.composite
def nearly_valid(draw: st.DrawFn) -> dict[str, Any]:
    content = copy.deepcopy(draw(valid()))
    for _ in range(draw(st.integers(1, 3))):
        break_one(draw, content)
    return content


# Garbage: bytes, text, documents of other kinds, and suites as text with something cut, doubled or put in

TOKENS = (
    *(
        "&a ",
        "*a",
        "<<: ",
        "!!python/object:os.system ",
        "!!int ",
        "!x ",
        "---\n",
        "...\n",
        "%TAG ! x\n",
        "? ",
        "| ",
        "> ",
    ),
    *("[", "]", "{", "}", ", ", ": ", "- ", "\n", "  ", "\t", "#", '"', "'", "\\", "\ufeff", "\x00", "\x1b", "\u2028"),
    *(
        "suite",
        "sweep",
        "model",
        "null",
        "yes",
        "0x",
        "0b_",
        "1_0",
        "1:30",
        ".inf",
        "1e999",
        "9" * 50,
        "2020-99-99",
        "=",
        "~",
    ),
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def cut_up(draw: st.DrawFn) -> bytes:
    """A suite's text with a few edits anywhere."""
    text = bytearray(draw(valid().map(spelt)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        count = draw(st.sampled_from([0, 0, 1, 5, 50]))
        text[start : start + count] = draw(st.sampled_from(TOKENS)).encode() if draw(st.booleans()) else b""
    return bytes(text)


GARBAGE = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace")),
    st.lists(st.sampled_from(TOKENS), max_size=15).map(lambda parts: "".join(parts).encode()),
    DOCUMENTS.map(lambda document: json.dumps(document).encode()),
    cut_up(),
    cut_up(),
)


def spelt(content: Any) -> bytes:
    """A document as a suite file."""
    return yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True).encode()


class HungError(BaseException):
    """Nothing catches it."""


def hung(*_: object) -> None:
    raise HungError


def outcome(path: Path, preset: str | None = None) -> str:
    """What comes of a suite file: `plans`, or the message of its error, which is checked."""
    signal.signal(signal.SIGALRM, hung)
    signal.alarm(HANGS_AFTER_SECONDS)
    try:
        suite = load_suite(path, preset)
        check_samples(suite)
        plan = make_plan(suite, path.parent / "results")
        json.dumps(plan.as_dict())
    except UserError as error:
        text = str(error)
        assert text.isprintable(), text
        assert text.endswith("."), text
        assert len(text) < 5_000
        # The suite's file, or one that the suite names.
        assert path.name in text or text.startswith(("/", "~", "http", ".")), text
        return text
    finally:
        signal.alarm(0)
    ids = [cell.id for cell in plan.cells]
    assert len(set(ids)) == len(ids) > 0
    assert ids == [cell.id for cell in make_plan(load_suite(path, preset), path.parent / "results").cells]
    assert math.isfinite(plan.seconds)
    assert plan.gmacs > 0
    return "plans"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "fuzzed.yaml"


@settings(FUZZ, max_examples=EXAMPLES * 3 // 10)
@given(content=valid(), preset=st.sampled_from([None, None, "quick"]))
def test_suites_of_the_own_vocabulary(content: dict[str, Any], preset: str | None, file: Path) -> None:
    file.write_bytes(spelt(content))
    found = outcome(file, preset)
    event("plans" if found == "plans" else "refused")


@settings(FUZZ, max_examples=EXAMPLES * 4 // 10)
@given(content=nearly_valid(), preset=st.sampled_from([None, None, None, "quick"]))
def test_suites_that_are_nearly_valid(content: dict[str, Any], preset: str | None, file: Path) -> None:
    file.write_bytes(spelt(content))
    found = outcome(file, preset)
    event("plans" if found == "plans" else "refused")


@settings(FUZZ, max_examples=EXAMPLES * 3 // 10)
@given(content=GARBAGE)
def test_garbage(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    found = outcome(file)
    event("plans" if found == "plans" else "refused")


@settings(FUZZ, max_examples=20)
@given(content=nearly_valid().map(spelt) | GARBAGE)
def test_the_command_says_one_sentence(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    result = CliRunner().invoke(app, ["plan", str(file), "--results", str(file.parent / "results")])
    assert result.exception is None or isinstance(result.exception, UserError | SystemExit)
    if result.exception is None:
        assert result.output.count("cells, ") == 1
