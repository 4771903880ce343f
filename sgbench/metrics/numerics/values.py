"""What the function of an `ImageMetric` or a `SetMetric` gives, checked, with its standard error. No torch."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgbench.base.errors import NoScoreError, UserError
from sgbench.images.sets import ImageSetInfo
from sgbench.metrics.metric import Fields, ImageMetric, Metric, SetMetric, fields
from sgbench.metrics.numerics.prompts import preference, text_fields
from sgbench.metrics.own_code import running
from sgbench.metrics.scores import METRICS
from sgbench.stats.estimates import Estimate, group_bounds, jackknife, mean_estimate

Array = NDArray[Any]


def image_values(metric: ImageMetric, x: Array, more: tuple[Array, ...], where: str) -> NDArray[np.float64]:
    """A value of each image, (n,) for x (n, ...). Raises NoScoreError for other shapes and for values not finite."""
    with running(METRICS, metric.key):
        found = np.asarray(metric.values(x, *more))
    if found.shape != (len(x),) or found.dtype.kind not in "fiub":
        given = f"{found.dtype} of shape {found.shape}"
        raise _wrong(metric, f"gives {given} for {len(x)} images, and needs one number for each", where)
    values = found.astype(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        raise _wrong(metric, f"gives {values[bad][0]} for {int(bad.sum())} of {len(x)} images", where)
    return values


def image_fields(values: NDArray[np.float64], info: ImageSetInfo) -> Fields:
    """The mean of values (N,) as it stands in scores.json; of images of prompts, groups of prompts apart."""
    if info.prompts is not None and info.labels is not None:
        return text_fields(preference, values, info)
    return fields(mean_estimate(values), info.where)


def set_estimate(metric: SetMetric, x: Array, more: tuple[Array, ...], where: str) -> Estimate:
    """The value of x (N, ...) with a jackknife over groups of images. Raises NoScoreError as `image_values`."""

    def without(start: int, stop: int) -> float:
        # Labels belong to images; what comes from the reference stays whole.
        rest = tuple(np.delete(one, slice(start, stop)) for one in more) if metric.needs == "labels" else more
        with running(METRICS, metric.key):
            found = np.asarray(metric.value(np.delete(x, slice(start, stop), axis=0), *rest))
        if found.size != 1 or found.dtype.kind not in "fiub":
            raise _wrong(metric, f"gives {found.dtype} of shape {found.shape}, and needs one number", where)
        number = float(found.reshape(()))
        if not math.isfinite(number):
            raise _wrong(metric, f"gives {number}", where)
        return number

    return jackknife(without(0, 0), [without(*bounds) for bounds in group_bounds(len(x))])


def labels_of(metric: Metric, info: ImageSetInfo) -> Array:
    """The label of each image. Raises UserError for images without."""
    if info.labels is None:
        raise UserError(
            f"{metric.title} needs the label of each image, and these images have none",
            where=info.where,
            fix=f"give an npz with arr_1 or a cell, or leave {metric.key} out",
        )
    return info.labels


def _wrong(metric: ImageMetric | SetMetric, what: str, where: str) -> NoScoreError:
    place = METRICS.place(metric.key, metric.values if isinstance(metric, ImageMetric) else metric.value)
    return NoScoreError(f"the metric {metric.key}{place} {what}", where=where, fix="correct the function")
