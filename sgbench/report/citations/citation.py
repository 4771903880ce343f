"""BibTeX of what a suite rests on: paper, rules, samplers, models, data, metrics, statistics, software. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import resources

from sgbench.cells.cell import Cell
from sgbench.cells.prompts import PUBLIC as PROMPTS
from sgbench.guidance import RULES
from sgbench.guidance.schedules import ALWAYS
from sgbench.metrics.catalogue import METRICS, qualities
from sgbench.metrics.extractors.catalogue import EXTRACTORS
from sgbench.metrics.judges.catalogue import JUDGES
from sgbench.metrics.metric import HOME
from sgbench.metrics.protocols import extractor_of
from sgbench.metrics.references.catalogue import PACKAGED, home_of, works_of
from sgbench.metrics.references.catalogue import PUBLIC as REFERENCES
from sgbench.models import catalogue
from sgbench.models.autoencoder_files import NONE, OWN
from sgbench.models.families import FAMILIES
from sgbench.report.citations import citation_keys
from sgbench.report.citations.citation_keys import Works
from sgbench.report.select_rows import metric_title
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.suite.schema import Suite

Use = tuple[str, Works]
"""What works are cited for, and their keys."""


def bibliography(suite: Suite | None = None, cells: Sequence[Cell] = ()) -> str:
    """A BibTeX file of all that a suite and its cells rest on, or of all that there is to cite.

    Entries are sorted by key; a line above each says what it is cited for. Raises UserError for a reference whose card
    cannot be read.
    """
    known = entries()
    return "\n".join(f"% {'; '.join(uses)}\n{known[key]}\n" for key, uses in citations(suite, cells).items())


def citations(suite: Suite | None = None, cells: Sequence[Cell] = ()) -> dict[str, list[str]]:
    """The keys that `bibliography` holds, in its order, each with what it is cited for."""
    found: dict[str, dict[str, None]] = {}
    for use, works in _everything() if suite is None else _of_suite(suite, cells):
        for key in works:
            found.setdefault(key, {})[use] = None
    return {key: list(found[key]) for key in sorted(found)}


@cache
def entries() -> dict[str, str]:
    """Every entry of references.bib as it stands there, by key."""
    text = (resources.files("sgbench.report.citations") / "references.bib").read_text("utf-8")
    return {entry.partition("{")[2].partition(",")[0]: entry for entry in text.strip().split("\n\n")}


def _of_suite(suite: Suite, cells: Sequence[Cell]) -> Iterator[Use]:
    yield "the paper that this benchmark follows", citation_keys.PAPER
    for rule in dict.fromkeys(cell.guidance.rule for cell in cells):
        yield _rule(rule)
    for sampler in dict.fromkeys(cell.sampler.name for cell in cells):
        yield _sampler(sampler)
    yield from _settings(cells)
    for model in dict.fromkeys(cell.model for cell in cells):
        yield from _model(model)
    if any(cell.autoencoder not in ("", NONE, OWN) for cell in cells):
        yield "decoding of latents", citation_keys.LATENTS
    if any(cell.text_encoder for cell in cells):
        yield "text encoder", citation_keys.TEXT_ENCODER
    yield f"reference {suite.reference}", works_of(suite.reference)
    yield f"prompts {suite.prompts}", PROMPTS[suite.prompts].works if suite.prompts in PROMPTS else ()
    for metric in suite.metrics:
        yield _metric(metric, suite.reference)
    yield from _statistics(suite.metrics)
    yield "software", citation_keys.SOFTWARE


def _everything() -> Iterator[Use]:
    yield "the paper that this benchmark follows", citation_keys.PAPER
    yield from map(_rule, RULES)
    yield from map(_sampler, SAMPLERS)
    yield from _SETTINGS.items()
    for family in FAMILIES.values():
        yield f"model family {family.title}", family.works
    for name in catalogue.embedded_names():
        yield from _model(name)
    yield "decoding of latents", citation_keys.LATENTS
    yield "pipelines", citation_keys.PIPELINES
    yield "text encoder", citation_keys.TEXT_ENCODER
    for reference in (*PACKAGED, *REFERENCES):
        yield f"reference {reference}", works_of(reference)
    for name, prompts in PROMPTS.items():
        yield f"prompts {name}", prompts.works
    for metric in METRICS:
        yield _metric(metric, "")
    yield from _statistics(METRICS)
    yield "comparison of two result sets", citation_keys.COMPARISONS
    yield "software", citation_keys.SOFTWARE


def _rule(name: str) -> Use:
    return f"guidance rule {RULES[name].title}", RULES[name].works


def _sampler(name: str) -> Use:
    return f"sampler {name}", SAMPLERS[name].works


_SETTINGS: dict[str, Works] = {
    "guidance in a limited interval": citation_keys.INTERVAL,
    "rescaled guidance": citation_keys.RESCALE,
    "power-cosine schedule of the scale": citation_keys.POWER_COSINE,
    "tokens dropped in groups": citation_keys.GROUPS,
    "shifted time": citation_keys.SHIFT,
}


def _settings(cells: Sequence[Cell]) -> Iterator[Use]:
    guidances, samplers = {cell.guidance for cell in cells}, {cell.sampler for cell in cells}
    intervals = {value for g in guidances for value in (g.interval, dict(g.parameters).get("perturb_interval", ALWAYS))}
    used = (
        intervals != {ALWAYS},
        any(g.rescale for g in guidances),
        any(g.scale_schedule.startswith("power-cosine") for g in guidances),
        any(g.subset == "groups" for g in guidances),
        any(s.shift != 1 for s in samplers),
    )
    for (use, works), is_used in zip(_SETTINGS.items(), used, strict=True):
        if is_used:
            yield use, works


def _model(name: str) -> Iterator[Use]:
    entry = catalogue.entry(name)
    family = entry.family
    if family.name in FAMILIES:
        yield f"model family {family.title}", family.works
    else:
        yield f"model {name}", citation_keys.OWN_WORKS[entry.architecture.family]
    if getattr(entry.architecture, "routes", ()):
        yield "routing of tokens", citation_keys.ROUTES
    if family.pipeline:
        yield "pipelines", citation_keys.PIPELINES


def _metric(name: str, reference: str) -> Use:
    metric = METRICS[name]
    # Without a reference, metrics of its home extractor have none to name.
    network = extractor_of(name, home_of(reference)) if reference or metric.extractor != HOME else ""
    return f"metric {metric_title(name)}", (*metric.works, *_network(network))


def _network(name: str) -> Works:
    """What to cite for an extractor or a judge; nothing for none."""
    if not name:
        return ()
    return EXTRACTORS[name].works if name in EXTRACTORS else JUDGES[name].works


def _statistics(metrics: Iterable[str]) -> Iterator[Use]:
    drawn = qualities(list(metrics))
    if any(metrics):
        yield "standard errors", citation_keys.ERRORS
        yield "scores and intervals", citation_keys.SCORING
    if drawn:
        yield "knee and area of a frontier", citation_keys.FRONTIERS
    if len(drawn) > 1:
        yield "agreement of metrics", citation_keys.RANKINGS
