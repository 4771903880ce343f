"""Expand a suite into its cells: every combination of what each sweep entry lists."""

import math
from collections.abc import Iterator
from typing import Final

from sgbench.base.errors import UserError
from sgbench.base.processor import automatic_dtype
from sgbench.base.user_code import is_reference
from sgbench.cells.cell import Cell
from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS, MINIMUM, check_extractors, image_metrics, reference_metrics
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.metric import HOME, Metric
from sgbench.metrics.references.catalogue import HOME_PACKAGED, PACKAGED, check_name, home_of, lacks
from sgbench.models import catalogue
from sgbench.models.components import NONE
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.samplers.settings import Sampler
from sgbench.suite.checks import check_model, check_served
from sgbench.suite.files import check_autoencoder, check_weights
from sgbench.suite.guidances import guidances
from sgbench.suite.own_code import is_closed, own_of
from sgbench.suite.prompt_checks import check_enough, check_texts
from sgbench.suite.schema import GuidanceKeys, Suite, SweepEntry

MOST_CELLS: Final = 1_000_000


def expand(suite: Suite) -> list[Cell]:
    """All distinct cells in the order of the file. Raises UserError naming the file and the sweep entry at fault."""
    check_size(suite)
    _check_scoring(suite)
    cells: dict[Cell, None] = {}
    for number, entry in enumerate(suite.sweep):
        for cell in _expand_entry(suite, entry, f"{suite.where}: sweep[{number}]"):
            cells[cell] = None
    if "lpips" in suite.metrics:
        _check_pairs(cells, suite.where)
    return list(cells)


def _check_pairs(cells: dict[Cell, None], where: str) -> None:
    for cell in cells:
        if cell.unguided() not in cells:
            raise UserError(
                f"lpips compares {cell.describe()} with {cell.unguided().describe()}, which is not in the sweep",
                where=f"{where}: sweep",
                fix="add `{guidance: none, gamma_strong: 0}` with the same model, sampler and steps",
            )


def check_samples(suite: Suite) -> None:
    """Raise UserError if there are too few images to score; a few may still be sampled to look at."""
    if suite.metrics and suite.samples < MINIMUM:
        raise UserError(
            f"scores and their errors need at least {MINIMUM} images, and samples is {suite.samples}",
            where=f"{suite.where}: samples",
            fix="raise samples (or --limit), or write `metrics: []`",
        )
    check_enough(suite)


def _check_scoring(suite: Suite) -> None:
    check_extractors(suite.metrics, f"{suite.where}: metrics")
    check_texts(suite)
    comparing = reference_metrics(suite.metrics)
    if comparing and not suite.reference:
        raise UserError(
            f"{comparing[0]} needs a reference",
            where=f"{suite.where}: reference",
            fix="name one, or write `metrics: []` for a throughput benchmark",
        )
    looking = image_metrics(suite.metrics) if suite.reference else []
    if looking:
        check_name(suite.reference, f"{suite.where}: reference")
    for metric in looking:
        own = METRICS[metric].extractor == HOME_PACKAGED or METRICS[metric].needs == "training"
        if own and home_of(suite.reference) != HOME_PACKAGED:
            raise UserError(
                f"{metric} is measured against {' or '.join(PACKAGED)}, and the reference is {suite.reference}",
                where=f"{suite.where}: metrics",
                fix="choose metrics of a public extractor, such as fid",
            )
    for metric in comparing:
        _check_features(METRICS[metric], suite)


def _check_features(metric: Metric, suite: Suite) -> None:
    name = metric.extractor
    if name in (HOME, "") or not lacks(suite.reference, name, metric.output):
        return
    origin = EXTRACTORS.origin(name).text
    build = f"sgbench reference build IMAGES --extractors {origin if is_reference(origin) else name} --out FOLDER"
    raise UserError(
        f"{metric.key} is measured in the extractor {name}, of which the reference {suite.reference} has no features",
        where=f"{suite.where}: metrics",
        fix=f"write `reference: shapes`, or build one: {build}",
    )


def _expand_entry(suite: Suite, entry: SweepEntry, where: str) -> Iterator[Cell]:
    samplers = list(_samplers(suite, entry, where))
    for model in entry.model or suite.model:
        model_key = f"{where}.model" if entry.model else f"{suite.where}: model"
        known = catalogue.entry(model, model_key)
        sampler_key = f"{where}.sampler" if entry.sampler else f"{suite.where}: sampler.name"
        check_model(known, suite, list(dict.fromkeys(s.name for s in samplers)), where, sampler_key)
        check_weights(known, model_key)
        check_autoencoder(known, suite.autoencoder, f"{suite.where}: autoencoder")
        # `load_suite` resolves `auto`; a suite made in Python may still hold it.
        dtype = automatic_dtype() if suite.dtype == "auto" else suite.dtype
        own = NONE if known.has_no_folder else known.family.autoencoder
        autoencoder = "" if known.in_pixels else suite.autoencoder or own
        text_encoder = known.family.text_encoder and (suite.text_encoder or known.family.text_encoder)
        for guidance in guidances(entry, known, where):
            for sampler in samplers:
                own_code = own_of(known.own, guidance.rule, sampler)
                # What is known from a record alone was checked when it ran.
                for part in () if is_closed(own_code) else guidance.segments or (guidance,):
                    check_served(RULES[part.rule], known, part, sampler, where)
                yield Cell(
                    model,
                    guidance,
                    sampler,
                    suite.seed,
                    suite.labels,
                    dtype,
                    autoencoder,
                    suite.compile,
                    suite.prompts,
                    text_encoder,
                    own_code,
                )


def _samplers(suite: Suite, entry: SweepEntry, where: str) -> Iterator[Sampler]:
    """Every sampler of an entry; settings of the suite that a sampler has no use for are left out."""
    own = suite.sampler
    limits = (own.churn_min, own.churn_max, own.churn_noise)
    churns = own.churn > 0 or limits != Sampler(own.name, own.steps)[-len(limits) :]
    _check_sampler_keys(own.name, own.shift != 1, churns, f"{suite.where}: sampler")
    for name in entry.sampler or [own.name]:
        kind = SAMPLERS[name]
        _check_sampler_keys(name, entry.shift is not None, entry.churn is not None, where)
        for steps in entry.steps or [own.steps]:
            if kind.most_steps is not None and steps > kind.most_steps:
                raise UserError(f"{name} takes at most {kind.most_steps} steps", where=where, fix="lower steps")
            for shift in entry.shift or [own.shift if "shift" in kind.takes else 1.0]:
                for churn in entry.churn or [own.churn if "churn" in kind.takes else 0.0]:
                    plain = Sampler(name, steps, shift)
                    yield plain if not churn else Sampler(name, steps, shift, churn, *limits)


def _check_sampler_keys(name: str, shifts: bool, churns: bool, where: str) -> None:
    for given, key in ((shifts, "shift"), (churns, "churn")):
        if given and key not in SAMPLERS[name].takes:
            able_ones = [other for other, kind in SAMPLERS.items() if key in kind.takes]
            raise UserError(
                f"the sampler {name} has no {key}", where=f"{where}.{key}", fix=f"remove it, or use {able_ones[0]}"
            )


def check_size(suite: Suite) -> None:
    """Raises UserError, naming the entry that crosses the limit, for more than MOST_CELLS combinations."""
    asked = 0
    for number, entry in enumerate(suite.sweep):
        segments = math.prod(map(_combinations, entry.segments or ()))
        asked += _combinations(entry) * segments * (1 if entry.model else len(suite.model))
        if asked > MOST_CELLS:
            raise UserError(
                f"with this entry the sweep has {asked:,} cells, and the limit is {MOST_CELLS:,}",
                where=f"{suite.where}: sweep[{number}]",
                fix="shorten its lists, or split the suite",
            )


def _combinations(keys: GuidanceKeys) -> int:
    return math.prod(len(value) for key, value in keys if isinstance(value, list) and key != "segments")
