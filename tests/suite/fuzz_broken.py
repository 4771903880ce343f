"""Valid suites with something broken somewhere."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import event
from hypothesis import strategies as st

from sgbench.suite.schema import SamplerSettings, Suite, SweepEntry
from tests.suite.fuzz_valid import valid

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


def spelt(content: Any) -> bytes:
    """A document as a suite file."""
    return yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True).encode()
