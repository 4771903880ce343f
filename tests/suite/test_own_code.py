"""Rules and samplers of a user's own file, from the suite to the report, which runs no code of it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.base.registry import REGISTRIES, Origin
from sgbench.cells.identity import cell_id, cell_of, cell_record
from sgbench.guidance import RULES
from sgbench.results.own_code import FILE, recall
from sgbench.results.store import Store
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.suite.own_code import bring_packed, packed_own
from sgbench.suite.sweep import expand

pytestmark = pytest.mark.usefixtures("own_code")

RULE = """
from sgbench.guidance.branches import Branch, Parameter, Rule
from softer import softened


RULE = Rule(
    "half-cfg",
    weak=Branch(condition="null"),
    combine=softened,
    parameters=(Parameter("share", "share of the push", 0, 1, default=0.5),),
)
"""
SOFTER = """
def softened(predictions, step):
    strong, weak = predictions["strong"], predictions["weak"]
    return strong + step.parameters["share"] * (step.scale - 1) * (strong - weak)
"""
SAMPLER = """
from sgbench.samplers.settings import Moment, SamplerKind


def times(sampler):
    return [1 - step / sampler.steps for step in range(sampler.steps + 1)]


def moments(sampler):
    return tuple(Moment(t, 1 - t, t, step) for step, t in enumerate(times(sampler)[:-1]))


def solve(sampler, predict, x, fresh):
    t = times(sampler)
    for step in range(sampler.steps):
        x = x + (t[step + 1] - t[step]) * predict(x, t[step], step)
    return x


SAMPLER = SamplerKind("my-euler", "My Euler", "this test", "flow", moments, solve)
"""
SUITE = """
suite: own
title: Rules of my own
seed: 0
samples: 20
reference: fashion-mnist
metrics: [fd]
model: fashion-routing
sampler: {name: "mine.py:SAMPLER", steps: 2}
sweep:
  - {guidance: none, sampler: euler}
  - {guidance: "mine.py:RULE", scale: 1.5, share: [0.3, 0.6]}
  - segments:
      - {guidance: cfg, scale: 1.5, interval: progress 0 to 0.5}
      - {guidance: "mine.py:RULE", scale: 2, interval: progress 0.5 to 1}
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(RULE + SAMPLER)
    (tmp_path / "softer.py").write_text(SOFTER)
    path = tmp_path / "own.yaml"
    path.write_text(SUITE)
    return path


def forget() -> None:
    """As a process that has not seen the file."""
    for registry in REGISTRIES:
        for name in list(registry.origins):
            del registry[name], registry.origins[name]
    for name in [name for name in RULES if "half-cfg" in name]:
        del RULES[name]


def test_a_suite_runs_rules_and_samplers_of_a_file(suite: Path, tmp_path: Path) -> None:
    loaded = api.load_suite(suite)
    cells = expand(loaded)
    assert [cell.guidance.rule for cell in cells] == ["none", "half-cfg", "half-cfg", "cfg-then-half-cfg"]
    results, reports = tmp_path / "results", tmp_path / "reports"
    done = api.bench_suite(loaded, results, reports)
    assert done["run"]["images_made"] == 80
    rows = Store(results, "own").read_rows()
    digest = RULES.origin("half-cfg").sha256[:12]
    texts = ["", *[f"guidance rule half-cfg {digest}; sampler my-euler {digest}"] * 3]
    assert list(rows["own"]) == texts
    # Euler's steps in a file of the user's own are Euler's.
    assert list(rows["gmacs_per_image"][1:3] / rows["gmacs_per_image"][0]) == [2, 2]
    lock = (results / "own" / "suite.lock.yaml").read_text()
    assert "code: mine.py:RULE" in lock
    page = (reports / "own" / "table.md").read_text()
    assert f"The guidance rule half-cfg does not come with sgbench: it is mine.py:RULE, sha256 {digest}" in page


def test_readers_of_results_run_no_code(suite: Path, tmp_path: Path) -> None:
    results, reports = tmp_path / "results", tmp_path / "reports"
    api.bench_suite(api.load_suite(suite), results, reports)
    table = (reports / "own" / "table.md").read_bytes()
    # Whoever runs the file from here on fails.
    forget()
    for name in ("mine", "softer"):
        path = suite.with_name(f"{name}.py")
        path.write_text(path.read_text())
    shutil.rmtree(reports)
    import sgbench.base.user_code as user_code

    def refuse(*_: object) -> None:
        raise AssertionError("code was run")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(user_code, "_run", refuse)
        recorded = api.load_suite(suite, recorded=results)
        api.report_suite(recorded, results, reports)
        assert (reports / "own" / "table.md").read_bytes() == table
        forget()
        found = api.compare_results(results / "own", results / "own", results=results)
        assert not found.failures()
        forget()
        assert not api.examine_results(results, reports, installation=False).left
    assert RULES.origin("half-cfg").closed


def test_a_changed_file_is_another_rule(suite: Path, tmp_path: Path) -> None:
    before = [cell_id(cell) for cell in expand(api.load_suite(suite))]
    suite.with_name("softer.py").write_text(SOFTER + "\n# no difference\n")
    after = [cell_id(cell) for cell in expand(api.load_suite(suite))]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, False, False]
    forget()
    with pytest.raises(UserError, match=r"the results hold nothing of mine.py:"):
        api.load_suite(suite, recorded=tmp_path)


def test_where_a_file_lies_counts_not(suite: Path, tmp_path: Path) -> None:
    before = [cell_id(cell) for cell in expand(api.load_suite(suite))]
    forget()
    other = tmp_path / "elsewhere"
    other.mkdir()
    for path in (*tmp_path.glob("*.py"), suite):
        shutil.copy(path, other)
    assert [cell_id(cell) for cell in expand(api.load_suite(other / suite.name))] == before


def test_a_cell_of_an_own_rule_is_named_by_its_record(suite: Path) -> None:
    for cell in expand(api.load_suite(suite)):
        record = json.loads(json.dumps(cell_record(cell)))
        assert cell_of(record) == cell._replace(model=record["model"])


def test_other_machines_get_the_files(suite: Path, tmp_path: Path) -> None:
    own = api.load_suite(suite).own
    packed = packed_own(own)
    forget()
    for path in tmp_path.glob("*.py"):
        path.unlink()
    bring_packed(packed, tmp_path / "there")
    assert {one.name: one.sha256 for one in own} == {
        "half-cfg": RULES.origin("half-cfg").sha256,
        "my-euler": SAMPLERS.origin("my-euler").sha256,
    }


FAULTS = {
    "there is no file": ("RULE", None),
    r"names no object; write FILE.py:NAME": ("RULE", "guidance: mine.py,"),
    r"mine.py has no object 'RULEE', did you mean 'RULE'": ("RULE", 'guidance: "mine.py:RULEE",'),
    r"code is never run from an address": ("RULE", 'guidance: "https://example.org/mine.py:RULE",'),
    r"SAMPLER is an object of class SamplerKind, not a guidance rule": (
        "RULE",
        'guidance: "mine.py:SAMPLER",',
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_references_that_lead_nowhere(what: str, suite: Path) -> None:
    _, line = FAULTS[what]
    if line is None:
        suite.with_name("mine.py").unlink()
    else:
        suite.write_text(SUITE.replace('guidance: "mine.py:RULE",', line, 1))
    with pytest.raises(UserError, match=what) as caught:
        api.load_suite(suite)
    assert str(suite) in str(caught.value)


BROKEN = {
    r"mine.py, line 3: the file fails on import \(NameError: name 'unknown_name' is not": "\n\nunknown_name\n",
    r"mine.py, line 2: the file fails on import \(SyntaxError": "\ndef (:\n",
    r"mine.py, line 1: the file fails on import \(SystemExit": "raise SystemExit\n",
    r"softer.py, line 1: the file fails on import \(ModuleNotFoundError": "import softer\nRULE = 1\n",
    r"mine.py:RULE is an object of class int, not a guidance rule": "RULE = 1\n",
    r"mine.py:RULE is the class Rule, not a guidance rule": "from sgbench.guidance.branches import Rule as RULE\n",
    r"is called cfg, which is the name of a guidance rule of sgbench": RULE.replace("half-cfg", "cfg"),
    r"'a b', the name of mine.py:RULE, is not a valid name": RULE.replace("half-cfg", "a b"),
    r"the parameter scale of mine.py:RULE has the name of a setting of every rule": RULE.replace('"share"', '"scale"'),
    r"the parameter layers of mine.py:RULE is written otherwise": RULE.replace('"share"', '"layers"'),
    r"the style \('red', 'o', '-'\) cannot be drawn": RULE.replace(
        "combine=", 'style=__import__("sgbench.guidance.branches").guidance.branches.Style("red"), combine='
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_files_that_fail(what: str, suite: Path) -> None:
    suite.with_name("mine.py").write_text(BROKEN[what])
    suite.with_name("softer.py").write_text("import nowhere_at_all\n" if "softer.py" in what else SOFTER)
    suite.write_text(SUITE.replace('{name: "mine.py:SAMPLER", steps: 2}', "{name: euler, steps: 2}"))
    with pytest.raises(UserError, match=what):
        api.load_suite(suite)


COMBINED = {
    r"of the rule half-cfg \(.*mine.py, line 2\) returned a tensor \[1, .*\], not a tensor \[24, ": "return strong[:1]",
    r"the guidance rule half-cfg fails in .*mine.py, line 4 \(ValueError: oh no\)": 'raise ValueError("oh no")',
    r"the guided combination is not finite in step . of 2 \(.*mine.py, line 2\)": "return strong / 0",
}


@pytest.mark.parametrize("what", COMBINED)
def test_functions_that_fail_while_images_are_made(what: str, suite: Path, tmp_path: Path) -> None:
    combine = f"\ndef softened(predictions, step):\n    strong = predictions['strong']\n    {COMBINED[what]}\n"
    suite.with_name("mine.py").write_text(combine + RULE.replace("from softer import softened\n", "") + SAMPLER)
    done = api.run_suite(api.load_suite(suite), tmp_path / "results")
    reasons = [failure.reason for failure in done.failed]
    assert len(reasons) == 3
    assert all(re.search(what, reason) for reason in reasons), reasons


def test_names_belong_to_one_thing(suite: Path, tmp_path: Path) -> None:
    api.load_suite(suite)
    shutil.copy(suite.with_name("mine.py"), tmp_path / "copy.py")
    suite.write_text(SUITE.replace("mine.py:RULE", "copy.py:RULE", 1))
    with pytest.raises(UserError, match=r"copy.py:RULE is called half-cfg, .* of mine.py:RULE"):
        api.load_suite(suite)


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"guidance rule": {"x": {"reference": "a.py:R", "sha256": "0", "facts": {}}}}')
    with pytest.raises(UserError, match="the record of the user's code is not sound"):
        recall(tmp_path)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(UserError, match="the file is damaged: it is not JSON"):
        recall(tmp_path)


def test_every_thing_is_told_by_its_record() -> None:
    for registry in REGISTRIES:
        for name, thing in list(registry.items()):
            facts = json.loads(json.dumps(registry.record(thing)))
            closed = registry.restore(facts)
            assert registry.name_of(closed) == name
            assert json.loads(json.dumps(registry.record(closed))) == facts, name


def test_where_a_thing_comes_from_is_told() -> None:
    assert RULES.origin("cfg") == Origin("sgbench")
