"""The metrics, one kind in each file: every file here has METRICS, and no table lists them. No torch, no numpy."""

from dataclasses import replace
from operator import attrgetter
from pathlib import Path

from sgbench.base.choices import unknown
from sgbench.base.discover import found
from sgbench.base.errors import UserError
from sgbench.base.registry import Origin, Registry, origin_of
from sgbench.base.user_code import locate
from sgbench.cells.settings import SETTINGS
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.metric import HOME, Metric
from sgbench.metrics.record import closed_metric, metric_record

# What columns of rows add to the key of a metric.
ENDS = ("se", "corrected", "floor", "floor_sd", "replicates", "protocol", "percentiles")


class Metrics(Registry[Metric]):
    """The metrics by key. `fd@FILE.py:NAME` stands for a portable metric that is measured in a user's extractor."""

    def add(self, thing: object, origin: Origin, where: str) -> str:
        if isinstance(thing, Metric):
            if not origin.closed:
                self._check_names(thing, origin.text, where)
            if thing.brings is not None:
                EXTRACTORS.add(thing.brings, origin, where)
            elif origin.sha256 and thing.extractor not in ("", HOME, *EXTRACTORS):
                raise unknown("extractor", thing.extractor, EXTRACTORS, f"{where}: {origin.text}")
            _check_output(thing, origin.text, where)
        return super().add(thing, origin, where)

    def _check_names(self, metric: Metric, called: str, where: str) -> None:
        """Rows and tables have a column for each metric, beside others."""
        if metric.key in SETTINGS or metric.key.endswith(tuple(f"_{end}" for end in ENDS)):
            raise UserError(
                f"{metric.key}, the key of {called}, is called as a column of rows is",
                where=where,
                fix=f"give it a key of its own that does not end in _{', _'.join(ENDS)}",
            )
        for key, other in self.items():
            if other.title == metric.title and key != metric.key and not self.origin(key).closed:
                what = f"{called} has the title {metric.title!r}, which is that of {key}"
                raise UserError(what, where=where, fix="give it another")

    def bring(self, reference: str, folder: Path, where: str) -> str:
        code = locate(reference, folder, where)
        if not code.measured:
            return super().bring(reference, folder, where)
        portable = {name: metric for name, metric in self.items() if metric.portable}
        if code.measured not in portable:
            fix = f"write one of {', '.join(portable)} before the @"
            raise unknown("metric for every extractor", code.measured, portable, where, fix)
        extractor = EXTRACTORS.bring(reference.removeprefix(f"{code.measured}@"), folder, where)
        return self.add(in_extractor(portable[code.measured], extractor), origin_of(code), where)


def in_extractor(metric: Metric, extractor: str) -> Metric:
    """A portable metric, measured in this extractor."""
    title = f"{metric.title.partition('[')[0]}[{extractor}]"
    return replace(metric, key=f"{metric.key}_{extractor}", title=title, extractor=extractor, portable=False)


def _check_output(metric: Metric, called: str, where: str) -> None:
    """Whether the extractor of a metric has the output that it uses."""
    extractor = EXTRACTORS.get(metric.extractor)
    if extractor is not None and metric.output not in extractor.widths:
        raise UserError(
            f"{called} uses the output {metric.output!r}, and the extractor {extractor.name} has "
            f"{', '.join(extractor.widths) or 'none'}",
            where=where,
            fix="name one of them, or add it to `widths` of the extractor",
        )


_FOUND: list[Metric] = [metric for metrics in found(__name__, "METRICS") for metric in metrics]
_FOUND.sort(key=lambda metric: metric.rank)
METRICS = Metrics("metric", Metric, _FOUND, attrgetter("key"), record=metric_record, restore=closed_metric)
