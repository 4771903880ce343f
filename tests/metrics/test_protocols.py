"""Whatever changes a value changes its protocol, and protocols that differ are never put together."""

from __future__ import annotations

import pytest

from sgbench.base.errors import UserError
from sgbench.cells.prompts import from_records
from sgbench.images.sets import ImageSetInfo
from sgbench.metrics.catalogue import METRICS, qualities
from sgbench.metrics.protocols import Protocol, differences, from_record, protocol, require_one
from sgbench.metrics.references.load import load_reference
from sgbench.metrics.scores.frechet import FrechetDistance

NOT_TEXT = ("metric", "samples", "reference", "prompts")
FACTS = ImageSetInfo("", 1000, "balanced", "uint8", None)


def of(metric: str = "fd", samples: int = 1000, labels: str = "balanced", quantisation: str = "uint8") -> Protocol:
    return protocol(
        metric,
        FACTS._replace(samples=samples, label_policy=labels, quantisation=quantisation),
        load_reference("fashion-mnist"),
    )


def test_whatever_changes_a_value_changes_its_protocol() -> None:
    base = of()
    others = [
        of(samples=1001),
        of(labels="random"),
        of(quantisation="uint8, read from jpg"),
        of("precision"),
        of("fd_lite0"),
        *(base._replace(**{field: "another"}) for field in Protocol._fields if field not in NOT_TEXT),
    ]
    assert len({p.id for p in [base, *others]}) == len(others) + 1


def test_a_protocol_in_words_names_everything() -> None:
    text = of().describe()
    for part in ("FD[fashion-cnn]", "Frechet", "N = 1000", "balanced", "uint8", "training images", "32 x 32 grey"):
        assert part in text
    assert "10,000 held-out images" in of("precision").describe()
    assert "reference" not in of("label_agreement").describe()


def test_a_reference_counts_by_its_digest_whatever_its_name() -> None:
    renamed = of()._replace(reference="another name, 60,000 training images")
    assert renamed.id == of().id
    assert differences(of(), renamed) == []


def test_differences_are_named() -> None:
    assert differences(of(), of()) == []
    assert differences(of(), of(samples=50_000)) == ["samples 1000 against 50000"]
    with pytest.raises(UserError) as caught:
        require_one([of(), of(), of(labels="random")], "rows of x", "score again")
    assert str(caught.value) == (
        "rows of x: FD[fashion-cnn] of different protocols is never compared: "
        "labels balanced against random; score again."
    )
    assert require_one([of(), of()], "x", "y") == of()


def test_records_of_older_versions_are_no_protocols() -> None:
    record = of()._asdict()
    assert from_record(record) == of()
    record.pop("inputs")
    assert from_record(record) is None


def test_only_inceptions_distance_is_called_fid() -> None:
    for metric in METRICS.values():
        assert ("FID" in metric.title) == (
            isinstance(metric, FrechetDistance) and metric.extractor.startswith("inception")
        )
        assert metric.extractor in metric.title or not isinstance(metric, FrechetDistance) or "FID" in metric.title


def test_quality_is_the_first_distance_or_score_of_prompts() -> None:
    assert qualities(["precision", "fd_lite0", "fd", "recall", "kd"]) == ["fd_lite0", "fd", "kd"]
    assert qualities(["recall", "hpsv2.1", "fd", "composition"]) == ["hpsv2.1", "fd", "composition"]


def test_prompts_are_part_of_a_protocol_and_classes_leave_it_as_it_was() -> None:
    prompts = [from_records("set", [{"prompt": text}], "set") for text in ("a circle", "a ring")]
    first, other, classes = (protocol("composition", FACTS._replace(prompts=asked), None) for asked in (*prompts, None))
    assert len({first.id, other.id, classes.id}) == 3
    (gap,) = differences(first, other)
    assert gap == f"prompts sha256 {prompts[0].sha256[:60]} against {prompts[1].sha256[:60]}"
    # The name of a set is no part of what was asked for.
    renamed = FACTS._replace(prompts=prompts[0]._replace(name="another"))
    assert protocol("composition", renamed, None).id == first.id
    assert f"balanced prompts of set (1 prompts, {prompts[0].sha256[:12]})" in first.describe()
    assert "; judge drawn (" in first.describe()
    assert "reference" not in first.describe()
    # A record of the time before prompts is the same protocol.
    record = {key: value for key, value in classes._asdict().items() if not key.startswith("prompts")}
    assert from_record(record) == classes
