"""A reference: moments, features and training features of real images, by extractor, in one folder.

    reference.json                  what it is: name, source, digest of the source, images, parts
    <extractor>-<output>.safetensors   mean (D,), covariance (packed lower triangle), features (M, D),
                                       training (T, D) quantised to 8 bits with its step (D,)

A missing part is made from the source's images where those are available.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sgbench.base.errors import UserError
from sgbench.base.progress import Progress, Silent
from sgbench.base.user_code import is_reference
from sgbench.images.files import Images
from sgbench.images.sets import ImageSet
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.numerics.frechet import Gaussian, Target, fit, frechet_value
from sgbench.metrics.references.catalogue import CARD, read_card
from sgbench.metrics.references.parts import Array, pack, read_part, unpack, write_card, write_part
from sgbench.metrics.weights import extractor_id

MAXIMUM_SETS = 20
# Rounding depends on the batch size: 2e-6 of the largest feature was seen for equal images.
ALIKE = 1e-5
WORDS = {"mean": "moments", "features": "features", "training": "features of training images"}
Load = Callable[[str], Callable[[Iterable[Images], str], dict[str, Array]]]
"""An extractor by its name: images in parts, and where they are from, to its outputs."""


class Reference:
    """A reference folder, and the images it was made from where they are available."""

    def __init__(self, folder: Path, source: ImageSet | None = None) -> None:
        """Raises UserError where the card is missing or damaged."""
        self.folder, self.source = folder, source
        self.card = read_card(folder)
        self.name = str(self.card["name"])
        self.home = str(self.card["home"])
        """The home extractor: the default of precision, recall, density and coverage."""
        self.sha256 = str(self.card["sha256"])
        """Digest of the source: equal for the same real images, wherever their features were made."""
        self.side: int | None = self.card.get("side")
        """Width of the images in pixels."""
        self.channels: int | None = self.card.get("channels")
        """1 for grey images, 3 for colour; None where only moments are known."""
        self._parts: dict[str, dict[str, Array]] = {}

    def describe(self, extractor: str, output: str, what: str) -> str:
        """The reference in a protocol, such as `fashion-mnist, 60,000 training images`."""
        part = self.card["parts"].get(f"{extractor}-{output}", {})
        return f"{self.name}, {part.get(what) or self.card['what']}"

    def moments(self, extractor: str, output: str) -> Gaussian:
        """Mean and covariance in an extractor's output."""
        part = self._part(extractor, output, "mean")
        return Gaussian(part["mean"].astype(np.float64), unpack(part["covariance"]))

    def features(self, extractor: str, output: str) -> Array:
        """Features (M, D) of the real images for neighbours and kernels, float32."""
        return self._part(extractor, output, "features")["features"].astype(np.float32)

    def training(self, extractor: str, output: str) -> Array:
        """Features (T, D) of the training images, float32."""
        part = self._part(extractor, output, "training")
        return part["training"].astype(np.float32) * part["step"]

    def labels(self, extractor: str, output: str) -> Array:
        """Classes (M,) of the images of `features`, of a part that has them."""
        return self._part(extractor, output, "features")["labels"]

    def has(self, extractor: str, output: str, what: str) -> bool:
        """Whether the folder holds `mean`, `features` or `training` of an extractor's output."""
        entry = self.card["parts"].get(f"{extractor}-{output}")
        return entry is not None and what in entry["arrays"]

    def require(
        self, extractor: str, output: str, what: str, load: Load | None = None, progress: Progress | None = None
    ) -> None:
        """Make sure that a part exists, from the source's images if needed, by an extractor that `load` returns.

        Raises UserError where that is impossible, and for a part of another extractor.
        """
        source = self.source if load is not None and what != "training" else None
        if self.has(extractor, output, what) and not (source is not None and self._is_stale(extractor, output)):
            made_with = self.card["parts"][f"{extractor}-{output}"].get("extractor_id")
            # Stored moments name no weights.
            if made_with is not None and made_with != extractor_id(extractor):
                fed = "preprocessing" if EXTRACTORS.built_in(extractor) else "code"
                raise UserError(
                    f"the reference was made with other weights of {extractor}, or with other {fed}",
                    where=str(self.folder / CARD),
                    fix="build the reference again, or use those weights",
                )
            return
        if source is None or load is None:
            origin = EXTRACTORS.origin(extractor).text
            named = origin if is_reference(origin) else extractor
            raise UserError(
                f"the reference {self.name} has no {WORDS[what]} of {extractor}",
                where=str(self.folder / CARD),
                fix=f"build one from the images: sgbench reference build IMAGES --extractors {named} --out FOLDER",
            )
        (progress or Silent()).say(f"reference {self.name}: {extractor} of {source.count} images")
        for name, array in load(extractor)(source.parts(), source.where).items():
            if array.ndim == 2 and name != "logits":
                self._add(extractor, name, array)

    def _is_stale(self, extractor: str, output: str) -> bool:
        """Whether a part that can be made again is damaged or of another extractor; stored moments never are."""
        key = f"{extractor}-{output}"
        entry = self.card["parts"][key]
        if "extractor_id" not in entry:
            return False
        try:
            self._parts.setdefault(key, read_part(self.folder / entry["file"], entry["sha256"]))
        except UserError:
            return True
        return bool(entry["extractor_id"] != extractor_id(extractor))

    def _add(self, extractor: str, output: str, features: Array) -> None:
        key = f"{extractor}-{output}"
        entry = self.card["parts"].get(key, {})
        # Stored moments stay: their publisher computed them from more images than the file holds.
        stored = entry.get("moments") == "stored"
        if stored:
            part = self._part(extractor, output, "mean")
            arrays: dict[str, Array] = {"mean": part["mean"], "covariance": part["covariance"]}
        else:
            moments = checked_moments(features, self.source.where if self.source is not None else str(self.folder))
            arrays = {"mean": moments.mean, "covariance": pack(moments.covariance)}
        if output == "features":
            arrays["features"] = features
        self._parts[key] = arrays
        written = write_part(self.folder, key, arrays)
        self.card["parts"][key] = {**entry, **written, "extractor_id": extractor_id(extractor)}
        write_card(self.folder, self.card)

    def _part(self, extractor: str, output: str, what: str) -> dict[str, Array]:
        key = f"{extractor}-{output}"
        if not self.has(extractor, output, what):
            self.require(extractor, output, what)
        if key not in self._parts:
            entry = self.card["parts"][key]
            self._parts[key] = read_part(self.folder / entry["file"], entry["sha256"])
        return self._parts[key]


def floor(
    reference: Reference, extractor: str, target: Target, samples: int, policy: str
) -> tuple[float, float | None] | None:
    """The distance to the reference of as many real held-out images, under a label policy.

    The mean over disjoint sets, and their standard deviation where there are two at least; under `balanced`, a set has
    equally many images of each class. None where the reference has too few such images: fewer are another quantity.
    """
    if not reference.has(extractor, "features", "labels"):
        return None
    held_out, labels = reference.features(extractor, "features"), reference.labels(extractor, "features")
    order = turns(labels.astype(np.int64)) if policy == "balanced" else np.arange(len(held_out))
    if len(order) < samples:
        return None
    sets = min(len(order) // samples, MAXIMUM_SETS)
    found = [frechet_value(held_out[order[i * samples : (i + 1) * samples]], target) for i in range(sets)]
    return float(np.mean(found)), float(np.std(found, ddof=1)) if sets > 1 else None


def turns(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices that cycle through the classes, as balanced cells do, until one class runs out."""
    by_class = [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]
    rounds = min(len(indices) for indices in by_class)
    return np.stack([indices[:rounds] for indices in by_class], axis=1).reshape(-1)


def checked_moments(features: Array, where: str) -> Gaussian:
    """The fit of real features. Raises UserError for fewer than two images and for features that do not differ."""
    if len(features) < 2:
        raise UserError("the reference is empty", where=where, fix="give at least two real images")
    moments = fit(features)
    if alike(features) or not np.trace(moments.covariance) > 0:
        raise UserError(
            f"all {len(features)} real images have the same features", where=where, fix="give images that differ"
        )
    return moments


def alike(features: Array) -> bool:
    """Whether the features (N, D) of all images are equal up to rounding."""
    values = features.astype(np.float32)
    return bool(np.ptp(values, axis=0).max() <= ALIKE * np.abs(values).max())
