"""Whole comparisons: of the committed rows with themselves and with planted changes, and of pure noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sgbench.base.errors import UserError
from sgbench.compare.comparison import Comparison, compare, compare_sources
from sgbench.compare.lines import Line, Score, Source
from sgbench.compare.wording import markdown

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
Write = Callable[..., Path]
MIRROR = {"worse": "better", "better": "worse"}


def shifted(rows: pd.DataFrame, where: pd.Series, metric: str, factor: float) -> pd.DataFrame:
    """Rows with a metric of some cells multiplied, replicates and all."""

    def times(text: str) -> str:
        return " ".join(str(factor * float(part)) for part in text.split())

    changed = rows.copy()
    changed.loc[where, metric] *= factor
    changed.loc[where, f"{metric}_se"] *= factor
    changed.loc[where, f"{metric}_replicates"] = [times(t) for t in rows.loc[where, f"{metric}_replicates"]]
    return changed


def moved(found: Comparison) -> dict[tuple[str, str], str]:
    """What changed: (cell, measure) and verdict."""
    quiet = ("same", "no significant difference")
    return {(p.a.cell, f.measure): f.verdict for p, f in found.findings if f.verdict not in quiet}


@pytest.mark.parametrize("suite", ["fashion-mnist", "shapes"])
def test_results_against_themselves_are_the_same(suite: str) -> None:
    folder = ROOT / "results" / suite
    found = compare(folder, folder)
    assert set(found.counts()) == {"same"}
    assert found.tests == 0
    assert found.failures() == []
    assert found.as_dict()["images"] == {"equal": len(found.pairs)}


def test_a_table_beside_nothing_else_still_compares(fashion: pd.DataFrame, write: Write) -> None:
    found = compare(ROOT / "results/fashion-mnist", write(fashion))
    assert set(found.counts()) == {"same"}
    assert found.as_dict()["images"] == {"unknown": len(fashion)}


def test_a_planted_regression_is_found_and_nothing_else(fashion: pd.DataFrame, write: Write) -> None:
    first = fashion.index == 0
    worse = shifted(fashion, first, "fd", 1.2)
    worse.loc[worse.index == 1, "gmacs_per_image"] += 1e-9
    worse.loc[worse.index == 2, ["seconds_per_image", "seconds_q25", "seconds_q75"]] *= 2
    found = compare(write(fashion), write(worse, "worse.csv"))
    cells = list(fashion["cell"])
    planted = {(cells[0], "fd"), (cells[1], "gmacs_per_image"), (cells[2], "seconds_per_image")}
    assert moved(found) == dict.fromkeys(planted, "worse")
    assert found.tests == 1
    assert found.failures() == [
        "FD[fashion-cnn] is worse in 1 pair",
        "GMACs/image is worse in 1 pair",
        "s/image is worse in 1 pair",
    ]
    back = compare(write(worse, "worse.csv"), write(fashion))
    assert moved(back) == dict.fromkeys(planted, "better")
    assert back.failures() == []


def test_higher_is_better_for_prompts(write: Write) -> None:
    rows = pd.read_csv(ROOT / "results/shapes/rows.csv", dtype={"cell": str, "composition_protocol": str})
    fallen = shifted(rows, rows.index == 0, "composition", 0.5)
    assert list(moved(compare(write(rows), write(fallen, "b.csv"))).values()) == ["worse"]


def test_swapping_the_sides_turns_every_sign(fashion: pd.DataFrame, write: Write) -> None:
    models = [
        write(fashion[fashion["model"] == m].assign(model="m"), f"{m}.csv") for m in fashion["model"].unique()[:2]
    ]
    there, back = compare(*models), compare(*models[::-1])
    ours = {(p.a.cell, p.b.cell, f.measure): f for p, f in there.findings}
    theirs = {(p.b.cell, p.a.cell, f.measure): f for p, f in back.findings}
    assert ours.keys() == theirs.keys()
    assert {f.verdict for f in ours.values()} >= {"worse", "changed", "no significant difference"}
    for key, one in ours.items():
        other = theirs[key]
        assert other.verdict == MIRROR.get(one.verdict, one.verdict)
        if one.change is not None and other.change is not None:
            assert other.change.value == pytest.approx(-one.change.value)
            assert other.change.lower == pytest.approx(-one.change.upper)
            assert other.adjusted_p == pytest.approx(one.adjusted_p, nan_ok=True)
    assert [line.cell for line in there.only_a] == [line.cell for line in back.only_b]
    assert there.pairs[0].remark.startswith("other checkpoint")


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_noise_alone_is_rarely_called_a_change(
    line: Callable[..., Line], score: Callable[..., Score], shared: float
) -> None:
    """The chance of any false verdict in a whole comparison is 5 % at most: at most 12 of 100 (99.9 % of binomials)."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(100):
        sides: tuple[list[Line], list[Line]] = ([], [])
        for number in range(15):
            common = rng.normal(size=(3, 20))
            for lines in sides:
                own = shared * common + np.sqrt(1 - shared**2) * rng.normal(size=(3, 20))
                scores = dict(zip(("fd", "recall", "lpips"), map(score, own), strict=True))
                lines.append(line(f"c{number}", **scores))
        found = compare_sources(*(Source("x", lines, "", []) for lines in sides))
        assert found.tests == 45
        wrong += bool(moved(found))
    assert wrong <= 12


def test_missing_cells_and_values_fail_a_gate_but_news_do_not(fashion: pd.DataFrame, write: Write) -> None:
    fewer = fashion.drop(index=[0, 1]).astype({"recall": object})
    fewer.loc[2, ["recall", "recall_se", "recall_replicates", "recall_protocol"]] = np.nan
    whole, part = write(fashion), write(fewer, "part.csv")
    lost, gone = compare(whole, part).failures()
    assert lost == "1 value of A cannot be compared (first: recall: no value in B)"
    assert gone.startswith("2 lines of A have no counterpart in B: fashion-routing, unguided (")
    assert compare(part, whole).failures() == []
    assert "Only in B: 2 (" in markdown(compare(part, whole))


def test_other_protocols_are_refused_by_their_difference(fashion: pd.DataFrame, write: Write) -> None:
    folder = ROOT / "results/fashion-mnist"
    other = write(fashion.assign(fd_protocol="ffffffffffff"))
    found = compare(folder, other)
    reasons = Counter((f.measure, f.reason) for _, f in found.findings if f.verdict == "not comparable")
    ((measure, reason),) = reasons
    assert measure == "fd"
    assert reason.endswith("against ffffffffffff")
    assert reasons.total() == len(fashion)
    assert len(found.failures()) == 1
    with pytest.raises(UserError, match=r"not comparable: FD\[fashion-cnn\]: protocol"):
        compare_sources(
            *(Source(s.where, [one._replace(cost=None) for one in s.lines], "", []) for s in (found.a, found.b)), ["fd"]
        )


def test_gammas_that_are_text_in_one_table_only(fashion: pd.DataFrame, write: Write) -> None:
    """A schedule in one cell makes the column text; cells with numbers are still found by their settings."""
    other = fashion.assign(cell=[f"{n:016x}" for n in range(len(fashion))]).astype({"gamma_weak": object})
    other.loc[len(fashion) - 1, "gamma_weak"] = "cosine 0.6 to 0"
    found = compare(write(fashion), write(other, "b.csv"))
    assert len(found.pairs) == len(fashion) - 1
    assert {pair.remark for pair in found.pairs} == {"other id of the same settings"}


def test_named_metrics_alone_are_compared(fashion: pd.DataFrame, write: Write) -> None:
    found = compare(write(fashion), write(fashion), ["recall"], seconds=False)
    assert {f.measure for _, f in found.findings} == {"recall", "gmacs_per_image"}
    for metrics, said in (
        (["recal"], "there is no metric 'recal', did you mean 'recall'?"),
        (["fid"], "rows.csv: there is no score for fid"),
        ([], "no metric is named"),
    ):
        with pytest.raises(UserError) as caught:
            compare(write(fashion), write(fashion), metrics)
        assert said in str(caught.value)


def test_a_named_metric_is_on_both_sides_or_nothing_is_compared(fashion: pd.DataFrame, write: Write) -> None:
    without = write(fashion.drop(columns=[c for c in fashion if c.startswith("recall")]), "without.csv")
    for sides in ((write(fashion), without), (without, write(fashion))):
        with pytest.raises(UserError, match=r"without\.csv: there is no score for recall"):
            compare(*sides, ["recall"])


def test_nothing_in_common_is_said(fashion: pd.DataFrame, write: Write) -> None:
    model = fashion["model"]
    parts = [write(fashion[model == name], f"{name}.csv") for name in model.unique()[:2]]
    with pytest.raises(UserError, match=r"no line of A has a counterpart in B \(fashion-routing, unguided"):
        compare(*parts)


def test_markdown_and_json_say_the_same(fashion: pd.DataFrame, write: Write) -> None:
    odd = fashion.assign(model=fashion["model"].str.replace("fashion-", "a|b "))
    found = compare(write(odd), write(shifted(odd, odd.index < 2, "fd", 1.2), "worse.csv"))
    text = markdown(found)
    table = [row for row in text.splitlines() if row.startswith("|")]
    assert len(table) == 2 + 2
    assert len({row.replace(r"\|", "").count("|") for row in table}) == 1
    assert f"Unchanged: {found.counts()['same']:,} same." in text
    assert "significant at 5% after Holm's correction for 2 comparisons" in text
    document = found.as_dict()
    assert [one["verdict"] for one in document["findings"]] == ["worse", "worse"]
    assert document["verdicts"] == {"same": found.counts()["same"], "worse": 2}
    assert not document["passed"]
    everything = found.as_dict(everything=True)["findings"]
    assert len(everything) == sum(found.counts().values())
    assert len([row for row in markdown(found, everything=True).splitlines() if row.startswith("|")]) == 2 + len(
        everything
    )
