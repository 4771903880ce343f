"""Prompt sets: every format reads alike, what cannot be a prompt is one sentence, and a set is named by its content."""

from __future__ import annotations

import csv
import json
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgbench.base.errors import UserError
from sgbench.cells.prompts import (
    LONGEST,
    PUBLIC,
    PromptSet,
    find_prompts,
    from_records,
    is_there,
    load_prompts,
    packaged_names,
    prompts_sha256,
)
from sgbench.zoo.shapes.captions import prompts_jsonl

TEXTS = ("a red circle", "zwei Kühe, 猫 & <b>", "a sign that says \u201cno\u201d")


@pytest.fixture(autouse=True)
def nothing_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SGBENCH_MODELS", str(tmp_path / "models"))


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def load(path: Path, content: str | bytes) -> PromptSet:
    return load_prompts(str(written(path, content)))


def texts(found: PromptSet) -> tuple[str, ...]:
    return tuple(prompt.text for prompt in found.prompts)


def refused(path: Path, content: str | bytes) -> str:
    with pytest.raises(UserError) as caught:
        load(path, content)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(path))
    return text


# Formats


def test_four_formats_of_one_content_are_one_set(tmp_path: Path) -> None:
    contents = {
        "set.txt": "\r\n".join(["", *TEXTS, "  "]),
        "set.jsonl": "".join(json.dumps({"prompt": text}, ensure_ascii=False) + "\n\n" for text in TEXTS),
        "set.json": json.dumps(TEXTS),
        "SET.CSV": "prompt\n" + "\n".join(f'"{text}"' for text in TEXTS),
    }
    found = [load(tmp_path / name, content) for name, content in contents.items()]
    assert {texts(one) for one in found} == {TEXTS}
    assert len({one.sha256 for one in found}) == 1
    assert {prompt.group for one in found for prompt in one.prompts} == {""}
    assert found[0].describe() == f"set (3 prompts, {found[0].sha256[:12]})"


@pytest.mark.slow
@given(st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1), min_size=1, max_size=4))
def test_json_and_csv_hold_any_text(tmp_path_factory: pytest.TempPathFactory, prompts: list[str]) -> None:
    kept = [text for text in prompts if text.strip()]
    folder = tmp_path_factory.mktemp("any")
    with (folder / "a.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["prompt"], *([text] for text in kept)])
    if not kept:
        assert "there are no prompts in it" in refused(folder / "a.json", "[]")
        return
    found = load(folder / "a.json", json.dumps(kept))
    assert texts(found) == tuple(text.strip() for text in kept)
    assert load_prompts(str(folder / "a.csv")).sha256 == found.sha256


def test_a_byte_order_mark_is_no_part_of_a_prompt(tmp_path: Path) -> None:
    assert texts(load(tmp_path / "a.txt", b"\xef\xbb\xbfa cat\n")) == ("a cat",)
    assert texts(load(tmp_path / "a.csv", b"\xef\xbb\xbfprompt,n\na cat,1\n")) == ("a cat",)


def test_drawbench_is_read_as_it_is_published(tmp_path: Path) -> None:
    found = load(tmp_path / "drawbench.csv", 'Prompts,Category\nA red car.,Colors\n"One cat, two dogs.",Counting\n')
    assert [(p.text, p.group) for p in found.prompts] == [("A red car.", "Colors"), ("One cat, two dogs.", "Counting")]
    # The same records in another format are the same set.
    lines = [{"prompt": p.text, **p.record} for p in found.prompts]
    assert load(tmp_path / "other.jsonl", "\n".join(map(json.dumps, lines))).sha256 == found.sha256


def test_what_is_said_beside_a_prompt_is_kept_and_names_the_set(tmp_path: Path) -> None:
    record = {"tag": "counting", "include": [{"class": "dog", "count": 2}], "prompt": "two dogs"}
    found = load(tmp_path / "a.jsonl", json.dumps(record))
    assert found.prompts[0].group == "counting"
    assert found.prompts[0].record == {"tag": "counting", "include": [{"class": "dog", "count": 2}]}
    other = load(tmp_path / "b.jsonl", json.dumps({**record, "tag": "position"}))
    assert other.sha256 != found.sha256


@pytest.mark.parametrize("key", ["group", "tag", "style", "category"])
def test_a_group_has_any_of_four_names(tmp_path: Path, key: str) -> None:
    assert load(tmp_path / "a.json", json.dumps([{"prompt": "a", key: "photo"}])).prompts[0].group == "photo"


def test_the_files_of_a_folder_are_groups(tmp_path: Path) -> None:
    folder = tmp_path / "styles"
    for style in ("photo", "anime"):
        written(folder / f"{style}.json", json.dumps([f"{style} one", f"{style} two"]))
    for ignored in (".hidden.txt", "README.md"):
        written(folder / ignored, "no prompt")
    found = load_prompts(str(folder))
    assert [(p.text, p.group) for p in found.prompts] == [
        ("anime one", "anime"), ("anime two", "anime"), ("photo one", "photo"), ("photo two", "photo"),
    ]  # fmt: skip
    assert found.name == "styles"


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    before = load(path, "a cat")
    assert load_prompts(str(path)) is before
    written(path, "a dog")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    after = load_prompts(str(path))
    assert texts(after) == ("a dog",)
    assert after.sha256 != before.sha256


# What is refused, with its place


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "\n \n", "there are no prompts in it; give at least one"),
        ("a.json", "[]", "there are no prompts in it"),
        ("a.json", '["a cat", "  "]', "entry 2: the prompt is empty"),
        ("a.json", '["a cat", 3]', "entry 2: the prompt is empty"),
        ("a.jsonl", '{"prompt": null}', "line 1: the prompt is empty"),
        ("a.csv", "n,prompt\n1,a\n2\n", "line 3: the prompt is empty"),
        ("a.txt", "a\n" + "b" * (LONGEST + 1), f"line 2: the prompt has 2001 characters; write at most {LONGEST}"),
        ("a.txt", "a\tcat", "line 1: the prompt holds the control character U+0009; remove it"),
        ("a.txt", "a\u0085cat", "line 1: the prompt holds the control character U+0085"),
        ("a.json", '["a\\u0000cat"]', "entry 1: the prompt holds the control character U+0000"),
        ("a.json", '["a\\nb"]', "the prompt holds the control character U+000A"),
        ("a.json", '["\\ud83d alone"]', "entry 1: the prompt holds the control character U+D83D"),
        ("a.json", '[{"prompt": "a", "style": "\\udc00"}]', "entry 1: the group holds the control character U+DC00"),
        ("a.json", '{"prompt": "a"}', "the file is not a list of prompts"),
        ("a.json", '["a",', "it is not JSON"),
        ("a.json", "[" * 100_000, "it is not JSON"),
        ("a.jsonl", '{"prompt": "a"}\na cat', "line 2: it is not JSON"),
        ("a.jsonl", '"a cat"', "line 1: the line is not an object with `prompt`"),
        ("a.jsonl", '{"promt": "a"}', "line 1: the line is not an object with `prompt`"),
        ("a.csv", "", "line 1: there is not exactly one column `prompt`"),
        ("a.csv", "Prompts,prompt\na,b\n", "line 1: there is not exactly one column `prompt`"),
        ("a.csv", "text\na cat\n", "line 1: there is not exactly one column `prompt`"),
        ("a.csv", f"prompt\n{'a' * 200_000}\n", "it is not CSV (field larger than field limit"),
        ("a.txt", b"\xff\xfea", "the prompts cannot be read ("),
        ("a.yaml", "- a cat", ".yaml is not a format of prompts; give one of .txt, .jsonl, .json, .csv, or a folder"),
        ("a", "a cat", "a file without ending is not a format of prompts"),
    ],
)  # fmt: skip
def test_what_is_no_prompt_is_one_sentence(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    assert said in refused(tmp_path / name, content)


@given(st.characters(categories=("Cc", "Cs")))
def test_no_control_character_is_let_through(tmp_path_factory: pytest.TempPathFactory, bad: str) -> None:
    assert unicodedata.category(bad) in ("Cc", "Cs")
    found = refused(tmp_path_factory.mktemp("bad") / "a.json", json.dumps([f"a{bad}b"]))
    assert f"U+{ord(bad):04X}" in found


def test_what_models_can_be_given_is_let_through(tmp_path: Path) -> None:
    fine = [
        "<script>alert(1)</script> & co",
        "a " + "b" * (LONGEST - 2),
        "🐈\u200d⬛",
        "\u2028".join("ab"),
        '"; DROP--',
    ]
    assert texts(load(tmp_path / "a.json", json.dumps(fine))) == tuple(fine)


def test_an_empty_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: there are no prompts in it"):
        load_prompts(str(tmp_path / "empty"))


def test_records_that_come_with_images_are_checked_alike() -> None:
    found = from_records("set", [{"prompt": "a cat ", "tag": "colors"}, {"prompt": "a dog"}], "folder")
    assert [(p.text, p.group) for p in found.prompts] == [("a cat", "colors"), ("a dog", "")]
    with pytest.raises(UserError, match="folder: prompt 2: the prompt is empty"):
        from_records("set", [{"prompt": "a cat"}, {}], "folder")


# Names


def test_a_set_that_is_nowhere_is_suggested() -> None:
    with pytest.raises(
        UserError, match=r"suite: there are no prompts 'shaeps', did you mean 'shapes'\?; give a file, or"
    ):
        load_prompts("shaeps", "suite")
    # A prompt in the place of a file's name: longer than any file system takes.
    with pytest.raises(UserError, match=r"prompts: there are no prompts 'a cat a cat.*; give a file"):
        load_prompts("a cat " * 100)
    assert prompts_sha256("a cat " * 100).startswith("not fetched")


@pytest.mark.parametrize("name", [*PUBLIC, "https://example.org/set.txt", "hf://owner/name/set.jsonl"])
def test_a_published_set_that_was_not_fetched_says_how_to(name: str) -> None:
    with pytest.raises(UserError) as caught:
        load_prompts(name, "x.yaml: prompts")
    assert str(caught.value) == (
        f"x.yaml: prompts: the prompts {name} are not on this machine; run `sgbench prompts fetch {name}`."
    )
    assert prompts_sha256(name) == f"not fetched: {name}"


def test_a_published_set_is_there_when_all_of_its_files_are() -> None:
    files = PUBLIC["hpsv2"].files
    for number, (file, _) in enumerate(files):
        assert not is_there("hpsv2")
        written(find_prompts("hpsv2") / file, json.dumps([f"prompt {number}"]))
    found = load_prompts("hpsv2")
    assert found.name == "hpsv2"
    assert [p.group for p in found.prompts] == ["anime", "concept-art", "paintings", "photo"]


def test_an_address_is_read_where_it_is_fetched_to() -> None:
    address = "https://example.org/a/set.txt?download=1"
    written(find_prompts(address), "a cat")
    assert texts(load_prompts(address)) == ("a cat",)
    assert load_prompts(address).name == "set"


def test_the_packaged_set_is_the_one_that_the_code_makes() -> None:
    assert packaged_names() == ["shapes"]
    found = load_prompts("shapes")
    assert find_prompts("shapes").read_text() == prompts_jsonl()
    assert (found.name, len(found.prompts)) == ("shapes", 200)
