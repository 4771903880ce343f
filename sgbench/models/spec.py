"""A model written out in a suite: family, size, resolution, routes, weights. Its text form is its name. No torch.

{family: tread-sit, size: XL/2, resolution: 256, weights: random}
tread-sit XL/2 256 weights=random

In place of `size` stand a depth, width, heads and patch of its own, or a `config` in the published constructor's names,
whose content, never its path, is in the text form.
"""

import hashlib
import re
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from sgbench.base.choices import suggestion
from sgbench.base.errors import UserError
from sgbench.models.architecture import Architecture, Routes
from sgbench.models.config import architecture_of, canonical, reason
from sgbench.models.families import FAMILIES, family
from sgbench.models.family import LATENT_SHRINK, SHAPE_KEYS, SIZES, Request, Size
from sgbench.models.sizes import NO_RESOLUTION, OWN_KEYS, PIXELS, check_size, in_our_keys, pixels

KEYS = (
    *("family", "size", *OWN_KEYS, "config", "resolution", "route"),
    *("weights", "sha256", "auxiliary", "iterations", "auxiliary_iterations"),
)
ITERATIONS, COUNT = ("iterations", "auxiliary_iterations"), r"[1-9][0-9]{0,99}"
RANDOM = "random"
SIZE_FORM = f"write a letter of {', '.join(SIZES)} and a patch of 2, 4 or 8, such as XL/2"
# Of the values of keys: what they look like, what is wrong with any other, and what to write instead.
PATTERNS = {
    "size": (rf"({'|'.join(SIZES)})/[248]", "there is no size {!r}", SIZE_FORM),
    "resolution": (r"[0-9]{1,6}", NO_RESOLUTION, PIXELS),
    "sha256": (r"[0-9a-f]{64}", "{} is not a sha256", "give 64 hexadecimal digits, or leave it out"),
    **{key: (COUNT, key + " {} is not a number of training iterations", "give a whole number") for key in ITERATIONS},
    **{key: (r"[1-9][0-9]{0,4}", key + " {} is not a size", "give a whole number up to 99999") for key in OWN_KEYS},
}
DIGITS = 16


class Spec(NamedTuple):
    """A model of a suite that has no name of its own."""

    family: str
    size: str
    resolution: int
    routes: Routes | None
    weights: str
    sha256: str | None
    auxiliary: str | None
    iterations: int | None = None
    """How long the weights were trained, for plots over training; images do not depend on it."""
    auxiliary_iterations: int | None = None
    depth: int | None = None
    width: int | None = None
    heads: int | None = None
    patch: int | None = None
    classes: int | None = None
    channels: int | None = None
    latent_side: int | None = None
    """Where it is not an eighth of the resolution."""
    config: str | None = None
    """As `canonical` makes it."""

    @property
    def request(self) -> Request:
        """What the family needs to know where there is no config."""
        letter, _, patch = self.size.partition("/")
        own = Size(self.depth, self.width, self.heads) if self.depth and self.width and self.heads else None
        side = self.latent_side or self.resolution // LATENT_SHRINK
        return Request(letter, self.patch or int(patch or 0), side, self.routes, own, self.classes, self.channels)

    def architecture(self) -> Architecture:
        """The record of the network. Raises ValueError, in the keys of a suite, for sizes that do not go together."""
        known = FAMILIES[self.family]
        if self.config is not None:
            made = architecture_of(self.config, known)
            return made if self.routes is None or not made.has_routes else _routed(made, self.routes)
        try:
            return known.sized(self.request)
        except ValueError as error:
            raise ValueError(in_our_keys(reason(error))) from error

    def text(self) -> str:
        """The canonical text form; `parse` reads it back."""
        optional = {key: getattr(self, key) for key in ("sha256", "auxiliary", *ITERATIONS)}
        rest = [f"{key}={shlex.quote(str(value))}" for key, value in optional.items() if value is not None]
        made = [] if self.config is None else [f"config={shlex.quote(self.config)}"]
        return " ".join([*self._head(), *made, f"weights={shlex.quote(self.weights)}", *rest])

    def without_paths(self) -> str:
        """The part of the text that belongs to a cell's identity: not the path of the weights, not their training.

        A config is there by its digest.
        """
        digest = hashlib.sha256((self.config or "").encode()).hexdigest()[:DIGITS]
        made = [] if self.config is None else [f"config={digest}"]
        return " ".join([*self._head(), *made, *([f"weights={RANDOM}"] if self.weights == RANDOM else [])])

    def _head(self) -> list[str]:
        own = [f"{key}={value}" for key in OWN_KEYS if (value := getattr(self, key)) is not None]
        route = [] if self.routes is None else [f"route={spell_routes(self.routes)}"]
        return [*([self.family, self.size] if self.size else [self.family]), str(self.resolution), *own, *route]


def _routed(made: Architecture, routes: Routes) -> Architecture:
    """The record with other routes, checked as if they had been in the config."""
    return type(made).model_validate({**made.model_dump(), "routes": routes})


def is_spec(name: str) -> bool:
    """Whether a model's name is the text form of a spec."""
    return " " in name.strip()


def text_of(value: object) -> object:
    """The text form of a mapping, or of a text that names a config's file; anything else as it is.

    Raises ValueError, as pydantic's validators must.
    """
    try:
        if isinstance(value, Mapping):
            return from_fields({str(key): item for key, item in value.items()}, "model").text()
        if isinstance(value, str) and is_spec(value) and " config=" in value:
            return parse(value, "model").text()
    except UserError as error:
        file = "" if error.where == "model" else f"{error.where.removeprefix('model: ')}: "
        raise ValueError(f"{file}{error.what} ({error.fix})") from error
    return value


def places(name: str) -> list[str]:
    """What of a model's name a file system must take: its files where it is written out, else the name."""
    if not is_spec(name):
        return [name]
    try:
        found = parse(name, "model")
    except UserError:
        return []
    return [place for place in (found.weights, found.auxiliary) if place is not None]


def parse(name: str, where: str) -> Spec:
    """The spec of a text form. Raises UserError for one that is not valid."""
    try:
        words = shlex.split(name)
    except ValueError as error:
        raise UserError(f"{name!r} has a quote that is not closed", where=where, fix="close it") from error
    bare = [word for word in words if "=" not in word]
    # The size of a pipeline is in its folder.
    pipeline = bool(bare) and bare[0] in FAMILIES and FAMILIES[bare[0]].pipeline
    sizeless = pipeline or any(word.startswith(tuple(f"{key}=" for key in (*SHAPE_KEYS, "config"))) for word in words)
    keys = ("family", "resolution") if sizeless else ("family", "size", "resolution")
    fields: dict[str, Any] = dict(zip(keys, bare, strict=False))
    if len(bare) > len(keys):
        order = " ".join(keys).upper()
        raise UserError(f"{bare[len(keys)]!r} has no key", where=where, fix=f"write {order}, then key=value")
    for key, _, value in (word.partition("=") for word in words if "=" in word):
        if key in fields:
            raise UserError(f"{key} is given twice", where=where, fix="give it once")
        fields[key] = value
    return from_fields(fields, where)


def parse_routes(text: str, where: str) -> Routes:
    """`2-24` or `2-12,14-24`: first and last block of each route, both included. `none` is no route."""
    if text == "none":
        return ()
    if not re.fullmatch(r"[0-9]{1,5}-[0-9]{1,5}(,[0-9]{1,5}-[0-9]{1,5})*", text):
        raise UserError(f"{text!r} is not a route", where=where, fix="write FIRST-LAST, such as 2-24, or none")
    return tuple((int(first), int(last)) for first, last in (part.split("-") for part in text.split(",")))


def spell_routes(routes: Routes) -> str:
    """The inverse of `parse_routes`."""
    return ",".join(f"{first}-{last}" for first, last in routes) or "none"


def from_fields(fields: Mapping[str, Any], where: str) -> Spec:
    """The spec of a mapping as a suite holds it. Raises UserError for one that is not valid."""

    def wrong(what: str, fix: str) -> UserError:
        return UserError(what, where=where, fix=fix)

    for key in fields:
        if key not in KEYS:
            raise wrong(f"unknown key {key!r}{suggestion(key, KEYS)}", f"the keys are {', '.join(KEYS)}")
    # Other keys may be empty, which is as if they were left out.
    given = {key: value for key, value in fields.items() if value is not None or key == "resolution"}
    text = {key: _spell(value) if key == "route" else str(value) for key, value in given.items()}
    if not text.get("family"):
        raise wrong("a model needs family", "add `family: ...`")
    known = family(text["family"], where)
    if not text.get("weights"):
        raise wrong("a model needs weights", "add `weights: ...`")
    for key in ("size", "sha256", "auxiliary", *ITERATIONS, "config", *OWN_KEYS):
        # Without its folder a pipeline may be of any size.
        if known.pipeline and key in text and not (text["weights"] == RANDOM and key in OWN_KEYS):
            raise wrong(f"a pipeline has no {key} of its own", f"leave {key} out")
    for key, (pattern, what, fix) in PATTERNS.items():
        if key in text and not re.fullmatch(pattern, text[key]):
            raise wrong(what.format(text[key]), fix)
    check_size(text, known, wrong)
    made = canonical(given["config"], known, where) if "config" in text else None
    side = None if made is None else architecture_of(made, known).input_size
    resolution = pixels(text, side, wrong)
    if "sha256" in text and text["weights"] == RANDOM:
        raise wrong("random weights have no sha256", "leave sha256 out")
    if text.get("auxiliary") == RANDOM:
        raise wrong("an auxiliary checkpoint is a file", "give its path, or leave it out")
    if "auxiliary_iterations" in text and "auxiliary" not in text:
        raise wrong("there is no auxiliary checkpoint", "leave auxiliary_iterations out")
    routes = parse_routes(text["route"], where) if "route" in text else None
    numbers: dict[str, Any] = {key: int(text[key]) for key in (*ITERATIONS, *OWN_KEYS) if key in text}
    checkpoints = text["weights"], text.get("sha256"), text.get("auxiliary")
    return Spec(known.name, text.get("size", ""), resolution, routes, *checkpoints)._replace(**numbers, config=made)


def _spell(route: object) -> str:
    """A route as YAML may hold it, [[2, 24]] or 2-24, in text form."""
    if isinstance(route, list | tuple):
        pairs = [route] if route and not isinstance(route[0], list | tuple) else route
        return ",".join("-".join(str(block) for block in pair) for pair in pairs) or "none"
    return str(route)
