"""`sgbench check`: what is named, what is printed, and the status it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file

from sgbench.base.user_code import load, locate
from sgbench.conformance.check import KINDS, subjects
from sgbench.conformance.extractors import LAWS
from tests.conformance.conftest import replaced
from tests.conformance.test_extractors import GOOD as EXTRACTOR
from tests.conformance.test_rules import GOOD as RULE
from tests.conformance.test_samplers import GOOD
from tests.conftest import Command
from tests.own_models import MODEL

pytestmark = pytest.mark.usefixtures("own_code")
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_thing_that_keeps_its_laws(sgbench: Command) -> None:
    Path("mine.py").write_text(GOOD)
    status, out, err = sgbench("check", "mine.py:SAMPLER")
    first, *laws, last = out.splitlines()
    assert (status, err) == (0, "")
    assert first == "own-euler: sampler, from mine.py:SAMPLER"
    assert len(laws) == 11
    assert last == "11 laws: 10 held, 0 broken, 1 not applicable"


def test_a_broken_law_is_a_sentence_and_status_one(sgbench: Command) -> None:
    Path("mine.py").write_text(replaced(GOOD, ("    return x\n\n", "    noise *= 2\n    return x\n\n")))
    status, out, _ = sgbench("check", "mine.py:SAMPLER", "--json")
    (document,) = json.loads(out.splitlines()[-1])["things"]
    told = [(law["law"], law["detail"]) for law in document["laws"] if law["outcome"] == "broken"]
    assert status == 1
    assert [law for law, _ in told] == ["it leaves its noise as it is"]
    assert "changed in place by 1 of the largest value" in told[0][1]
    status, out, _ = sgbench("check", "mine.py:SAMPLER")
    assert status == 1
    assert f"  BROKEN  {told[0][0]}: {told[0][1]}" in out.splitlines()


def test_laws_that_are_not_tried_are_one_line(sgbench: Command) -> None:
    Path("mine.py").write_text(replaced(GOOD, ("    return x\n\n", "    return x[:1]\n\n")))
    status, out, _ = sgbench("check", "mine.py:SAMPLER")
    _, broken, others, last = out.splitlines()
    assert status == 1
    assert broken.startswith("  BROKEN  ")
    assert others.split(maxsplit=1) == ["-", "10 laws: not tried, because the first law is broken"]
    assert last == "11 laws: 0 held, 1 broken, 10 not applicable"


def test_what_cannot_be_tried_at_all_does_not_pass(
    sgbench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("SGBENCH_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "empty"))
    status, out, _ = sgbench("check", "dinov2")
    _, why, last = out.splitlines()
    assert status == 1
    assert why.split(maxsplit=1)[1].startswith(f"{len(LAWS)} laws: the weights of dinov2 are missing")
    assert last == f"{len(LAWS)} laws: 0 held, 0 broken, {len(LAWS)} not applicable: nothing could be tried"
    assert json.loads(sgbench("check", "dinov2", "--json")[1].splitlines()[-1])["passed"] is False


def test_a_file_of_ones_own_that_is_missing_breaks_a_law(sgbench: Command) -> None:
    Path("mine.py").write_text(replaced(EXTRACTOR, ("load=load)", "load=load, files=('w.bin',))")))
    status, out, _ = sgbench("check", "mine.py:EXTRACTOR")
    _, broken, others, _ = out.splitlines()
    assert status == 1
    assert f"mine.py:EXTRACTOR: the extractor own-convolution has no file {Path('w.bin').absolute()}" in broken
    assert f"{len(LAWS) - 1} laws: not tried" in others


def test_what_is_built_in_goes_by_its_name_and_may_be_of_two_kinds(sgbench: Command) -> None:
    assert sgbench("check", "euler")[1].startswith("euler: sampler, from sgbench\n")
    status, out, _ = sgbench("check", "lpips", "--json")
    things = json.loads(out.splitlines()[-1])["things"]
    assert status == 0
    assert [thing["kind"] for thing in things] == ["extractor", "metric"]


def test_the_name_of_a_model_may_be_that_of_a_rule_too(tmp_path: Path) -> None:
    Path("mine.py").write_text(replaced(RULE, ('name="own-lean"', 'name="fashion-routing"')))
    subjects("mine.py:RULE", tmp_path)
    assert [one.kind.what for one in subjects("fashion-routing", tmp_path)] == ["model", "guidance rule"]


@pytest.mark.slow
def test_a_model_with_options_or_weights_of_its_own(sgbench: Command) -> None:
    Path("mine.py").write_text(MODEL)
    status, out, _ = sgbench("check", "mine.py:Model(depth=1)", "--json")
    document = json.loads(out.splitlines()[-1])
    assert status == 0
    assert document["things"][0]["name"] == "mine(depth=1)"
    fresh = load(locate("mine.py:Model", Path(), ""), "")()
    save_file(fresh.state_dict(), "fresh.safetensors")
    status, out, _ = sgbench("check", "mine.py:Model", "--weights", "fresh.safetensors")
    assert status == 1
    assert "  BROKEN  in pure noise, where sampling begins, it predicts what its clock says: in pure noise the" in out
    status, _, err = sgbench("check", "mine.py:Model", "--weights", "other.safetensors")
    assert status == 1
    assert "the weight file other.safetensors is missing" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sgx"], "there is no thing 'sgx', did you mean 'sg'?"),
        (["none.py:RULE"], "there is no file"),
        (["mine.py:OTHER"], "has no object 'OTHER'"),
        (["mine.py:SEEN"], "mine.py:SEEN is an object of list, which has no laws"),
        (["mine.py:SAMPLER", "--weights", "w.pt"], "--weights: a sampler takes no weights"),
        (["euler", "--weights", "w.pt"], "--weights: only a user's model takes weights"),
    ],
)
def test_what_cannot_be_checked_is_said_in_a_sentence(sgbench: Command, arguments: list[str], said: str) -> None:
    Path("mine.py").write_text(GOOD)
    status, _, err = sgbench("check", *arguments)
    assert status == 1
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_weights_may_be_an_address(sgbench: Command) -> None:
    Path("mine.py").write_text(MODEL)
    status, _, err = sgbench("check", "mine.py:Model", "--weights", "hf://me/mine/w.safetensors")
    assert status == 1
    assert "the weights were not fetched from hf://me/mine/w.safetensors" in err


def test_the_page_of_laws_is_what_the_code_says() -> None:
    """docs/conformance.md has a table for each kind, with every law in its order."""
    page = (ROOT / "docs" / "conformance.md").read_text()
    for kind in KINDS.values():
        table = "\n".join(["| law |", "|---|", *(f"| {law.name} |" for law in kind.laws)])
        assert f"## {kind.what.capitalize()}\n\n" in page
        assert f"{table}\n" in page
