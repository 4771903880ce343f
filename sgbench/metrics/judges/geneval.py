"""GenEval's decision (Ghosh et al., arXiv 2310.11513, section 3): does an image show what its prompt says?

The rules are those of the published evaluator (github.com/djghosh13/geneval, evaluation/evaluate_images.py), for any
detector. A record is a line of its prompt metadata: `include` holds classes with a count, a colour and a
place, all of which must be met; `exclude` holds counts that must not be reached. No torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sgbench.cells.prompt_records import RELATIONS

# Suites are checked by these names, and that starts at once: numpy is imported where it is used.
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Smaller offsets in pixels count as none; a direction holds from this share of the whole offset.
NO_OFFSET: Final = 1e-3
SHARE: Final = 0.5

Box = tuple[float, float, float, float]


class Detection(NamedTuple):
    """One object that a detector found."""

    name: str
    """Its class."""
    box: Box
    """x0, y0, x1, y1 in pixels, y down."""
    score: float
    """The detector's confidence, 0 to 1."""
    mask: NDArray[np.bool_] | None
    """Its pixels (H, W), if the detector finds them."""


class Rules(NamedTuple):
    """What the published evaluator leaves to its options; the defaults are its own."""

    threshold: float = 0.3
    """Objects count above this confidence."""
    counting_threshold: float = 0.9
    """The same for prompts that ask for a number."""
    most: int = 16
    """Objects of one class that are considered."""
    overlap: float = 1.0
    """Below one: objects of a class that overlap a more confident one by this share or more are dropped."""
    position: float = 0.1
    """Share of both objects' sides by which their centres must be apart to count as apart at all."""


GENEVAL: Final = Rules()


class Verdict(NamedTuple):
    """Whether an image is right, and what is wrong with it."""

    correct: bool
    reason: str


def judge(
    record: Mapping[str, Any],
    detections: Sequence[Detection],
    colour_of: Callable[[Sequence[Detection]], Sequence[str]],
    rules: Rules = GENEVAL,
) -> Verdict:
    """Compare the objects of one image with its prompt's record, as `prompt_records` reads it.

    `colour_of` names the colours of some objects of one class; it is called only where the record names a colour.
    """
    counting = record["tag"] == "counting"
    found = _kept(detections, rules.counting_threshold if counting else rules.threshold, rules)
    failures: list[str] = []
    groups: list[Sequence[Detection] | None] = []
    for wanted in record["include"]:
        # Only the most confident count: objects beyond the wanted number are left to `exclude`.
        group = found.get(wanted["class"], [])[: wanted["count"]]
        failure = _failure(wanted, group, groups, colour_of, rules.position)
        groups.append(None if failure else group)
        failures += [failure] if failure else []
    for barred in record.get("exclude", ()):
        seen = len(found.get(barred["class"], []))
        if seen >= barred["count"]:
            failures.append(f"expected at most {barred['count'] - 1} {barred['class']}, found {seen}")
    return Verdict(not failures, "; ".join(failures))


def _kept(detections: Sequence[Detection], threshold: float, rules: Rules) -> dict[str, list[Detection]]:
    """The objects that count, by class, the most confident first; of equal ones the last, as in the original."""
    kept: dict[str, list[Detection]] = {}
    for found in sorted(detections, key=lambda d: d.score)[::-1]:
        if found.score > threshold:
            kept.setdefault(found.name, []).append(found)
    return {name: _apart(group[: rules.most], rules.overlap) for name, group in kept.items()}


def _apart(group: list[Detection], overlap: float) -> list[Detection]:
    """Objects without those that overlap an earlier one by `overlap` or more."""
    if overlap >= 1:
        return group
    kept: list[Detection] = []
    for found in group:
        if all(_overlap(found.box, other.box) < overlap for other in kept):
            kept.append(found)
    return kept


def _overlap(first: Box, second: Box) -> float:
    """Intersection over union of boxes whose last pixel belongs to them."""
    inner = (*map(max, first[:2], second[:2]), *map(min, first[2:], second[2:]))
    inside = _area(inner)
    union = _area(first) + _area(second) - inside
    return inside / union if union else 0.0


def _area(box: Sequence[float]) -> float:
    return max(box[2] - box[0] + 1, 0.0) * max(box[3] - box[1] + 1, 0.0)


def _failure(
    wanted: Mapping[str, Any],
    group: Sequence[Detection],
    groups: Sequence[Sequence[Detection] | None],
    colour_of: Callable[[Sequence[Detection]], Sequence[str]],
    position: float,
) -> str:
    """Why one entry of `include` is not met; empty where it is. `groups` are the objects of the entries before."""
    name, count = wanted["class"], wanted["count"]
    if len(group) < count:
        return f"expected {count} {name}, found {len(group)}"
    if "color" in wanted:
        colours = Counter(colour_of(group))
        if colours[wanted["color"]] < count:
            seen = ", ".join(f"{number} {colour}" for colour, number in colours.items())
            return f"expected {count} {wanted['color']} {name}, found {seen}"
    if "position" in wanted:
        relation, target = wanted["position"]
        return _misplaced(f"{name} {relation} target", relation, group, groups[target], position)
    return ""


def _misplaced(
    what: str, relation: str, group: Sequence[Detection], target: Sequence[Detection] | None, position: float
) -> str:
    """Why a group is misplaced: every object of it must stand in the relation to every object of the target."""
    if target is None:
        return f"expected {what}, found no target"
    for found in group:
        for other in target:
            seen = relations(found.box, other.box, position)
            if relation not in seen:
                return f"expected {what}, found {' and '.join(seen) or 'no clear offset'}"
    return ""


def relations(box: Box, other: Box, position: float = GENEVAL.position) -> tuple[str, ...]:
    """The position of a box relative to another one: none, one or two of RELATIONS.

    The offset of the centres, less `position` times both sides, is taken as a share of the whole offset, which must
    be above a half on an axis.
    """
    import numpy as np

    corners = np.array([box, other], dtype=np.float64).reshape(2, 2, 2)
    centres, sides = corners.mean(axis=1), np.abs(corners[:, 1] - corners[:, 0])
    offset = centres[0] - centres[1]
    clear = np.maximum(np.abs(offset) - position * sides.sum(axis=0), 0)
    if (clear < NO_OFFSET).all():
        return ()
    x, y = clear * np.sign(offset) / np.linalg.norm(offset)
    return tuple(name for name, share in zip(RELATIONS, (-x, x, -y, y), strict=True) if share > SHARE)
