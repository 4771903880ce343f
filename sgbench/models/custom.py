"""A model of a user's own in a suite, its record of sizes and its family. No torch.

{custom: mine.py:Model, options: {depth: 12}, weights: w.safetensors}
mine(depth=12) weights=w.safetensors
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, NamedTuple, NoReturn

from pydantic import InstanceOf

from sgbench.base.choices import suggestion
from sgbench.base.errors import UserError
from sgbench.base.registry import Origin
from sgbench.base.user_code import is_reference, locate
from sgbench.files.location import is_remote
from sgbench.guidance.perturbation import Perturbation
from sgbench.models.architecture import Architecture, Conditions, Macs
from sgbench.models.card import ModelCard
from sgbench.models.components import NONE
from sgbench.models.family import Family, Prediction
from sgbench.models.own import MODELS, failed, spell_options, split_reference
from sgbench.models.spec import ITERATIONS, PATTERNS, RANDOM
from sgbench.samplers.catalogue import DISCRETE_SAMPLERS, EDM_SAMPLERS, FLOW_SAMPLERS

OPTIONAL: Final = ("sha256", "auxiliary", *ITERATIONS)
KEYS: Final = ("custom", "options", "weights", *OPTIONAL)
LIVE: Final = "(live-"
LIVE_DIGITS: Final = 8
FAMILY: Final = "custom"
SAMPLERS: Final[dict[Prediction, tuple[str, ...]]] = {
    "velocity": FLOW_SAMPLERS,
    "velocity-from-noise": FLOW_SAMPLERS,
    "edm": EDM_SAMPLERS,
    "epsilon": DISCRETE_SAMPLERS,
}


class CustomArchitecture(Architecture):
    """What the card of a user's model says of its network. Patches, width and depth are the network's own matter."""

    network: ClassVar[str] = "sgbench.networks.custom:build_own"

    family: Literal["custom"] = "custom"
    patch_size: int = 1
    hidden_size: int = 1
    depth: int = 1
    own: str
    """Its name in MODELS."""
    sha256: str
    """Of its code: what was worked out of other code is not taken for this."""
    card: InstanceOf[ModelCard]

    @property
    def grid_tokens(self) -> int:
        return self.card.tokens

    @property
    def blocks(self) -> int:
        return self.card.blocks

    @property
    def out_channels(self) -> int:
        return self.in_channels * (2 if self.card.variance else 1)

    @property
    def predicts_variance(self) -> bool:
        return self.card.variance

    @property
    def null_label(self) -> int:
        return 0 if self.card.null is None else self.card.null

    @property
    def can_drop_tokens(self) -> bool:
        return bool(self.card.drops)

    def attention_width(self, layer: int) -> int:
        """Of the card, which may not say it: 0 then."""
        return self.card.width

    def states_macs(self, perturbation: Perturbation | None = None) -> bool:
        return self.card.macs is not None and perturbation is None

    def call_macs(self, kept: int) -> Macs:
        """The card's closed form. Raises UserError where it fails or gives something else."""
        assert self.card.macs is not None
        at, files = MODELS[self.own].at, MODELS.origin(self.own).files
        try:
            found = self.card.macs(kept)
        except Exception as error:
            raise failed(f"the card's `macs` cannot count {kept} tokens", error, files, at) from error
        if not isinstance(found, Macs):
            what = f"the card's `macs` gives a {type(found).__name__}"
            fix = "give Macs(linear, attention, normalised) of sgbench.models.architecture, or leave `macs` out"
            raise UserError(what, where=at, fix=fix)
        return found

    def block_macs(self, kept: int) -> list[Macs]:
        """Not stated: the blocks of a card are of one cost, and a call that perturbs some is counted."""
        return [Macs(0, 0, 0)] * self.blocks


class CustomCaptionArchitecture(CustomArchitecture):
    """The same of a model of captions."""

    conditions: ClassVar[Conditions] = "captions"

    @property
    def condition_shape(self) -> tuple[int, ...]:
        assert self.card.caption is not None
        return self.card.caption


class CustomSpec(NamedTuple):
    """A user's model with its weights, as cells name it."""

    own: str
    weights: str
    """A file, an address, `random`, `none` for a network without parameters, or the digest's start of a live one."""
    sha256: str | None = None
    auxiliary: str | None = None
    iterations: int | None = None
    auxiliary_iterations: int | None = None

    def text(self) -> str:
        """The canonical text form; `parse` reads it back."""
        optional = {key: getattr(self, key) for key in OPTIONAL}
        rest = [f"{key}={shlex.quote(str(value))}" for key, value in optional.items() if value is not None]
        return " ".join([self.own, f"weights={shlex.quote(self.weights)}", *rest])

    def without_paths(self) -> str:
        """The part of the text that belongs to a cell's identity."""
        return f"{self.own} weights={self.weights}" if self.weights in (RANDOM, NONE) else self.own


def live_name(card: ModelCard, sha256: str) -> str:
    """The name in MODELS of a live network, by the digest of all that it is made of."""
    return f"{card.name}{LIVE}{sha256[:LIVE_DIGITS]})"


def is_live(name: str) -> bool:
    """Whether a name in MODELS is that of a live network."""
    return LIVE in name


class Brought(NamedTuple):
    """A user's model that a suite names, once its file is loaded."""

    model: str
    """Its name in cells, with its weights."""
    name: str
    """Its name in MODELS."""
    reference: str
    """What `MODELS.bring` takes."""
    sha256: str


def is_custom(name: str) -> bool:
    """Whether a model's name is the text form of a user's model."""
    return name.partition(" ")[0] in MODELS


def parse(name: str) -> CustomSpec:
    """The inverse of `CustomSpec.text`."""
    own, *rest = shlex.split(name)
    return _spec(own, {key: value for key, _, value in (word.partition("=") for word in rest)})


def _spec(own: str, text: Mapping[str, str]) -> CustomSpec:
    given: dict[str, Any] = {key: int(value) if key in ITERATIONS else value for key, value in text.items()}
    return CustomSpec(own, **given)


def bring(given: Mapping[str, Any], folder: Path, where: str, closed: bool = False) -> Brought:
    """Load the class that a suite's mapping names; file and weights are relative to the suite's folder.

    With `closed` no code is run: the model is one that results have a record of. Raises UserError.
    """
    spec = _read(given, folder, where)
    try:
        reference = f"{given['custom']}{spell_options(given.get('options') or {})}"
    except ValueError as error:
        raise UserError(str(error), where=f"{where}.options", fix="correct the option") from error
    name = _recorded(reference, folder, where) if closed else MODELS.bring(reference, folder, where)
    origin = MODELS.origin(name)
    return Brought(spec._replace(own=name).text(), name, origin.text, origin.sha256)


def _from_here(path: Path) -> str:
    """A path relative to the working directory, as those of other models are, if it is below it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _recorded(reference: str, folder: Path, where: str) -> str:
    """The name of a model that results have a record of, wherever its file is."""
    code, _ = split_reference(reference)
    # The digest of a package's code is known by importing it alone.
    known = [origin.sha256 for origin in MODELS.origins.values()]
    for sha256 in [locate(code, folder, where).sha256] if is_reference(code) else known:
        name = MODELS.recall(sha256, lambda text: _last(text) == _last(reference), where)
        if name is not None:
            return name
    fix = "run `sgbench bench` with the suite, which makes what is missing"
    raise UserError(f"the results hold nothing of {reference} as the file is now", where=where, fix=fix)


def _last(reference: str) -> str:
    """Class and options."""
    return reference.rpartition(":")[2].strip()


def _read(given: Mapping[str, Any], folder: Path, where: str) -> CustomSpec:
    """What a mapping says of weights."""

    def wrong(what: str, fix: str) -> UserError:
        return UserError(what, where=where, fix=fix)

    for key in given:
        if key not in KEYS:
            raise wrong(f"unknown key {key!r}{suggestion(str(key), KEYS)}", f"the keys are {', '.join(KEYS)}")
    if not isinstance(given["custom"], str):
        raise wrong("`custom` names no class", "write FILE.py:NAME, such as mine.py:Model")
    if not isinstance(given.get("options") or {}, Mapping) or split_reference(given["custom"])[1]:
        raise wrong("options are what the class is built with", "write a mapping, such as `options: {depth: 12}`")
    text = {key: str(given[key]) for key in ("weights", *OPTIONAL) if given.get(key) is not None}
    if not text.get("weights"):
        raise wrong("a model needs weights", f"add `weights: FILE`, or `weights: {RANDOM}` for throughput benchmarks")
    for key, (pattern, what, fix) in PATTERNS.items():
        if key in text and not re.fullmatch(pattern, text[key]):
            raise wrong(what.format(text[key]), fix)
    if "sha256" in text and text["weights"] in (RANDOM, NONE):
        raise wrong(f"{text['weights']} weights have no sha256", "leave sha256 out")
    if text.get("auxiliary") in (RANDOM, NONE):
        raise wrong("an auxiliary checkpoint is a file", "give its path, or leave it out")
    if "auxiliary_iterations" in text and "auxiliary" not in text:
        raise wrong("there is no auxiliary checkpoint", "leave auxiliary_iterations out")
    for key in {"weights", "auxiliary"} & text.keys():
        text[key] = weights_from(text[key], folder)
    return _spec("", text)


def weights_from(given: str, folder: Path) -> str:
    """Weights as cells name them: a file relative to `folder`, an address, `random` or `none`."""
    return given if given in (RANDOM, NONE) or is_remote(given) else _from_here(folder / Path(given).expanduser())


def kind_of(card: ModelCard) -> type[CustomArchitecture]:
    """The record of a model of classes or of captions."""
    return CustomCaptionArchitecture if card.caption else CustomArchitecture


def family_of(card: ModelCard, origin: Origin) -> Family:
    """What the card of a user's model says of its family, which is its own."""
    return Family(
        name=FAMILY,
        title=card.name,
        source=origin.text,
        architecture=kind_of(card),
        prediction=card.prediction,
        drops=card.drops or "nothing",
        samplers=SAMPLERS[card.prediction],
        from_config=_unpublished,
        sized=_unpublished,
        sigma_data=card.sigma_data,
        null_class=card.has_null,
        trained_sparse=card.trained_gamma > 0,
        text_encoder=card.text_encoder,
        autoencoder=card.autoencoder,
    )


def _unpublished(*_: object) -> NoReturn:
    raise ValueError("a user's model has no published sizes")
