"""A model written out in a suite: family, size, resolution, routes, weights. Its text form is its name. No torch.

{family: tread-sit, size: XL/2, resolution: 256, weights: random}
tread-sit XL/2 256 weights=random
"""

import re
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from sgbench.base.choices import suggestion
from sgbench.base.errors import UserError
from sgbench.models.architecture import Routes
from sgbench.models.families import FAMILIES, family
from sgbench.models.family import LATENT_SHRINK, SIZES, Request

KEYS = ("family", "size", "resolution", "route", "weights", "sha256", "auxiliary", "iterations", "auxiliary_iterations")
ITERATIONS, COUNT = ("iterations", "auxiliary_iterations"), r"[1-9][0-9]{0,99}"
RANDOM = "random"
NO_RESOLUTION, PIXELS = "resolution {} is not supported", "give pixels, a multiple of 64, such as 256 or 512"
SIZE_FORM = f"write a letter of {', '.join(SIZES)} and a patch of 2, 4 or 8, such as XL/2"
# Of the values of keys: what they look like, what is wrong with any other, and what to write instead.
PATTERNS = {
    "size": (rf"({'|'.join(SIZES)})/[248]", "there is no size {!r}", SIZE_FORM),
    "resolution": (r"[0-9]{1,6}", NO_RESOLUTION, PIXELS),
    "sha256": (r"[0-9a-f]{64}", "{} is not a sha256", "give 64 hexadecimal digits, or leave it out"),
    **{key: (COUNT, key + " {} is not a number of training iterations", "give a whole number") for key in ITERATIONS},
}


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

    @property
    def request(self) -> Request:
        """What the family needs to know."""
        letter, patch = self.size.split("/") if self.size else ("", "0")
        return Request(letter, int(patch), self.resolution // LATENT_SHRINK, self.routes)

    def text(self) -> str:
        """The canonical text form; `parse` reads it back."""
        optional = {key: getattr(self, key) for key in ("sha256", "auxiliary", *ITERATIONS)}
        rest = [f"{key}={shlex.quote(str(value))}" for key, value in optional.items() if value is not None]
        return " ".join([*self._head(), f"weights={shlex.quote(self.weights)}", *rest])

    def without_paths(self) -> str:
        """The part of the text that belongs to a cell's identity: not the path of the weights, not their training."""
        return " ".join([*self._head(), f"weights={RANDOM}"] if self.weights == RANDOM else self._head())

    def _head(self) -> list[str]:
        route = [] if self.routes is None else [f"route={spell_routes(self.routes)}"]
        return [*([self.family, self.size] if self.size else [self.family]), str(self.resolution), *route]


def is_spec(name: str) -> bool:
    """Whether a model's name is the text form of a spec."""
    return " " in name.strip()


def text_of(value: object) -> object:
    """The text form of a mapping; anything else as it is. Raises ValueError, as pydantic's validators must."""
    if not isinstance(value, Mapping):
        return value
    try:
        return from_fields({str(key): item for key, item in value.items()}, "model").text()
    except UserError as error:
        raise ValueError(f"{error.what} ({error.fix})") from error


def parse(name: str, where: str) -> Spec:
    """The spec of a text form. Raises UserError for one that is not valid."""
    try:
        words = shlex.split(name)
    except ValueError as error:
        raise UserError(f"{name!r} has a quote that is not closed", where=where, fix="close it") from error
    bare = [word for word in words if "=" not in word]
    # The size of a pipeline is in its folder.
    sizeless = bool(bare) and bare[0] in FAMILIES and FAMILIES[bare[0]].pipeline
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
    pipeline = "family" in text and family(text["family"], where).pipeline
    for key in ("family", "weights") if pipeline else ("family", "size", "weights"):
        if key not in text or (key == "weights" and not text[key]):
            raise wrong(f"a model needs {key}", f"add `{key}: ...`")
    for key in ("size", "sha256", "auxiliary", *ITERATIONS):
        if pipeline and key in text:
            raise wrong(f"a pipeline has no {key} of its own", f"leave {key} out")
    for key, (pattern, what, fix) in PATTERNS.items():
        if key in text and not re.fullmatch(pattern, text[key]):
            raise wrong(what.format(text[key]), fix)
    resolution = int(text.get("resolution", 256))
    if resolution == 0 or resolution % 64:
        raise wrong(NO_RESOLUTION.format(resolution), PIXELS)
    if "sha256" in text and text["weights"] == RANDOM:
        raise wrong("random weights have no sha256", "leave sha256 out")
    if text.get("auxiliary") == RANDOM:
        raise wrong("an auxiliary checkpoint is a file", "give its path, or leave it out")
    if "auxiliary_iterations" in text and "auxiliary" not in text:
        raise wrong("there is no auxiliary checkpoint", "leave auxiliary_iterations out")
    routes = parse_routes(text["route"], where) if "route" in text else None
    checkpoints = text["weights"], text.get("sha256"), text.get("auxiliary")
    trained = [int(text[key]) if key in text else None for key in ITERATIONS]
    return Spec(text["family"], text.get("size", ""), resolution, routes, *checkpoints, *trained)


def _spell(route: object) -> str:
    """A route as YAML may hold it, [[2, 24]] or 2-24, in text form."""
    if isinstance(route, list | tuple):
        pairs = [route] if route and not isinstance(route[0], list | tuple) else route
        return ",".join("-".join(str(block) for block in pair) for pair in pairs) or "none"
    return str(route)
