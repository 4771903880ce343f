"""Why weights do not fit a network, from names and shapes alone."""

import re
from collections import Counter
from collections.abc import Mapping

from sgbench.models.describe import CLASSES, OUT, PATCH, guess_layout, stacks

Shapes = Mapping[str, tuple[int, ...]]
EXAMPLES = 3
WIDTH = "t_embedder.mlp.2.bias"
POSITIONS = re.compile(r"(pos_embed|relative_position_bias_table|relative_position_index)$")


def explain_mismatch(expected: Shapes, found: Shapes) -> str | None:
    """What differs between a network (`expected`) and a file (`found`), with the likely cause; None if nothing."""
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    reshaped = [name for name in expected if name in found and expected[name] != found[name]]
    if not missing + unexpected + reshaped:
        return None
    groups = {
        "missing": [f"{name} {list(expected[name])}" for name in missing],
        "unexpected": [f"{name} {list(found[name])}" for name in unexpected],
        "of another shape": [f"{name} {list(found[name])}, in the network {list(expected[name])}" for name in reshaped],
    }
    counts = []
    for what, lines in groups.items():
        examples = "; ".join(lines[:EXAMPLES] + ["..."] * (len(lines) > EXAMPLES))
        counts.append(f"{len(lines)} {what} ({examples})" if lines else f"0 {what}")
    tensors = f"Of its {len(expected)} tensors {'; '.join(counts)}"
    return f"the weights do not fit the network, {_cause(expected, found)}. {tensors}"


def _cause(expected: Shapes, found: Shapes) -> str:
    """The first rule that explains it, from the coarse to the fine."""
    most = len(expected) / 2
    prefixes = _prefixes(expected, found, most)
    if prefixes and expected.keys() <= found.keys():
        return f"the file holds another copy of them under the prefix {prefixes}"
    if prefixes:
        return f"the names differ by the prefix {prefixes} in the file"
    if prefixes := _prefixes(found, expected, most):
        return f"the names differ by the prefix {prefixes} in the network"
    network, file = guess_layout(expected), guess_layout(found)
    if file is not None and network not in (file, None):
        return f"they are of another family: the file looks like {file}, the network is {network}"
    if not expected.keys() & found.keys():
        return "they are of another family: not one name is common"
    reasons = _depths(expected, found) + _sizes(expected, found) + _parts(expected, found)
    return "; ".join(reasons) or "they are of another size"


def _prefixes(bare: Shapes, wrapped: Shapes, least: float) -> str:
    """The prefixes under which more than `least` names of `bare` are found in `wrapped`."""
    hits: Counter[str] = Counter()
    for name in wrapped:
        for dot in re.finditer(r"\.", name):
            hits[name[: dot.end()]] += name[dot.end() :] in bare
    return " and ".join(prefix for prefix, count in hits.items() if count > least)


def _depths(expected: Shapes, found: Shapes) -> list[str]:
    """Stacks of layers that are longer or shorter in the file."""
    network, file = stacks(expected), stacks(found)
    return [
        f"they have {'fewer' if file[name] < depth else 'more'} layers: "
        f"{file[name]} {name} in the file, {depth} in the network"
        for name, depth in network.items()
        if file.get(name, depth) != depth
    ]


def _sizes(expected: Shapes, found: Shapes) -> list[str]:
    """What the shapes of well-known tensors say; another width explains all other shapes."""

    def differ(name: str) -> bool:
        ours, theirs = expected.get(name, ()), found.get(name, ())
        return ours != theirs and len(ours) == len(theirs)

    def both(name: str) -> str:
        return f"{list(found[name])} in the file, {list(expected[name])} in the network"

    if differ(WIDTH):
        return [f"they are of another size: width {found[WIDTH][0]} in the file, {expected[WIDTH][0]} in the network"]
    reasons = []
    if differ(PATCH):
        (_, *theirs), (_, *ours) = found[PATCH], expected[PATCH]
        what = "patch size or number of channels"
        if len(ours) == 3:
            what = "patch size" if theirs[1:] != ours[1:] else "number of channels"
        reasons.append(f"they are of another {what}: {theirs} inputs per token in the file, {ours} in the network")
    elif differ(OUT) and found[OUT][0] == 2 * expected[OUT][0]:
        reasons.append("the file has a learned sigma (twice the output channels) and the network has none")
    elif differ(OUT) and expected[OUT][0] == 2 * found[OUT][0]:
        reasons.append("the network has a learned sigma (twice the output channels) and the file has none")
    if positions := [name for name in expected if POSITIONS.search(name) and differ(name)]:
        reasons.append(f"they are of another resolution: {positions[0]} is {both(positions[0])}")
    if differ(CLASSES):
        reasons.append(f"they are of another number of classes: a table of {both(CLASSES)}")
    return reasons


def _parts(expected: Shapes, found: Shapes) -> list[str]:
    """Whole parts that one side has and the other has not."""
    ours, theirs = ({name.partition(".")[0] for name in names} for names in (expected, found))
    reasons = []
    if theirs - ours == {"projectors"}:
        reasons.append("the projectors of a REPA training run are still in the file")
    elif theirs - ours:
        reasons.append(f"the file has parts that the network has not: {', '.join(sorted(theirs - ours))}")
    if ours - theirs:
        reasons.append(f"the file lacks parts: {', '.join(sorted(ours - theirs))}")
    return reasons
