"""BibTeX of what a suite rests on: paper, rules, samplers, models, data, metrics, statistics, software. No torch."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import resources

from sgbench.cells.cell import Cell
from sgbench.cells.prompts import PUBLIC as PROMPTS
from sgbench.guidance import RULES
from sgbench.guidance.schedules import ALWAYS
from sgbench.metrics.catalogue import METRICS, qualities
from sgbench.metrics.metric import HOME
from sgbench.metrics.protocols import extractor_of
from sgbench.metrics.references.catalogue import PACKAGED, home_of, works_of
from sgbench.metrics.references.catalogue import PUBLIC as REFERENCES
from sgbench.metrics.weights import instrument_named
from sgbench.models import catalogue
from sgbench.models.components import NONE, OWN
from sgbench.models.families import FAMILIES
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.suite.schema import Suite

Works = tuple[str, ...]
"""Keys of references.bib. Rules, samplers, families, metrics and networks name their own; the rest is here."""
Use = tuple[str, Works]
"""What works are cited for, and their keys."""

PIPELINES: Use = ("pipelines", ("vonplaten2022diffusers", "wolf2020transformers"))
SOFTWARE: Use = (
    "software",
    (
        *("paszke2019pytorch", "fvcore", "harris2020numpy", "mckinney2010pandas", "hunter2007matplotlib"),
        "satyanarayan2017vegalite",
    ),
)
# The project's own networks, by their architecture.
OWN_WORKS: dict[str, Works] = {
    "dit": ("peebles2023dit", "liu2023rectified"),
    "maskdit": ("zheng2024maskdit", "liu2023rectified"),
    "textdit": ("peebles2023dit", "liu2023rectified"),
}


def _is_limited(cell: Cell) -> bool:
    """Whether guidance, or its perturbation, acts in a part of sampling alone."""
    return {cell.guidance.interval, cell.guidance.parameter("perturb_interval", ALWAYS)} != {ALWAYS}


# What goes with any rule or sampler, and which cells use it; the rest of the settings have no source of their own.
SETTINGS: dict[Use, Callable[[Cell], bool]] = {
    ("guidance in a limited interval", ("kynkaanniemi2024interval",)): _is_limited,
    ("rescaled guidance", ("lin2024flawed",)): lambda cell: bool(cell.guidance.rescale),
    ("power-cosine schedule of the scale", ("gao2023mdt",)): lambda cell: (
        cell.guidance.scale_schedule.shape == "power-cosine"
    ),
    ("tokens dropped in groups", ("park2025sprint",)): lambda cell: cell.guidance.subset == "groups",
    ("shifted time", ("esser2024sd3",)): lambda cell: cell.sampler.shift != 1,
}


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
    for use, works in _uses(suite, cells):
        for key in works:
            found.setdefault(key, {})[use] = None
    return {key: list(found[key]) for key in sorted(found)}


@cache
def entries() -> dict[str, str]:
    """Every entry of references.bib, verbatim, by key."""
    text = (resources.files("sgbench.report.citations") / "references.bib").read_text("utf-8")
    return {entry.partition("{")[2].partition(",")[0]: entry for entry in text.strip().split("\n\n")}


def _uses(suite: Suite | None, cells: Sequence[Cell]) -> Iterator[Use]:
    """What a suite and its cells rest on; without a suite, all that there is."""
    everything = suite is None
    reference, prompts, metrics = (suite.reference, suite.prompts, suite.metrics) if suite else ("", "", list(METRICS))
    yield "the paper that this benchmark follows", ("krause2026sparseguidance",)
    for rule in RULES if everything else dict.fromkeys(cell.guidance.rule for cell in cells):
        yield f"guidance rule {RULES[rule].title}", RULES[rule].works
    for sampler in SAMPLERS if everything else dict.fromkeys(cell.sampler.name for cell in cells):
        yield f"sampler {sampler}", SAMPLERS[sampler].works
    yield from (use for use, is_used in SETTINGS.items() if everything or any(map(is_used, cells)))
    for family in FAMILIES.values() if everything else ():
        yield f"model family {family.title}", family.works
    for model in catalogue.embedded_names() if everything else dict.fromkeys(cell.model for cell in cells):
        yield from _model(model)
    if everything or any(cell.autoencoder not in ("", NONE, OWN) for cell in cells):
        yield "decoding of latents", ("rombach2022ldm", "vonplaten2022diffusers")
    if everything:
        yield PIPELINES
    if everything or any(cell.text_encoder not in ("", NONE) for cell in cells):
        yield "text encoder", ("fang2024dfn", "ilharco2021openclip")
    for name in (*PACKAGED, *REFERENCES) if everything else [reference]:
        yield f"reference {name}", works_of(name)
    for name in PROMPTS if everything else {prompts} & set(PROMPTS):
        yield f"prompts {name}", PROMPTS[name].works
    for metric in metrics:
        # Without a reference, metrics of its home extractor have none to name.
        network = extractor_of(metric, home_of(reference)) if reference or METRICS[metric].extractor != HOME else ""
        measured_with = instrument_named(network).works if network else ()
        yield f"metric {METRICS[metric].title}", (*METRICS[metric].works, *measured_with)
    drawn = qualities(metrics)
    if metrics:
        yield "standard errors", ("efron1981jackknife",)
        yield "scores and intervals", ("virtanen2020scipy",)
    if drawn:
        yield "knee and area of a frontier", ("satopaa2011kneedle", "zitzler1999hypervolume")
    if len(drawn) > 1:
        yield "agreement of metrics", ("kendall1945ties",)
    if everything:
        yield "comparison of two result sets", ("holm1979procedure",)
    yield SOFTWARE


def _model(name: str) -> Iterator[Use]:
    entry = catalogue.entry(name)
    family = entry.family
    if family.name in FAMILIES:
        yield f"model family {family.title}", family.works
    elif not entry.own:
        yield f"model {name}", OWN_WORKS[entry.architecture.family]
    if getattr(entry.architecture, "routes", ()):
        yield "routing of tokens", ("krause2025tread",)
    if family.pipeline:
        yield PIPELINES
