"""A model written out in a suite: family, size, resolution, routes, weights. Its text form is its name. No torch.

{family: tread-sit, size: XL/2, resolution: 256, weights: random}
tread-sit XL/2 256 weights=random
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from sgbench.base.choices import suggestion
from sgbench.base.errors import UserError
from sgbench.models.architecture import Routes
from sgbench.models.families import FAMILIES, family
from sgbench.models.family import LATENT_SHRINK, SIZES, Request

KEYS = (
    *("family", "size", "resolution", "route", "weights", "sha256", "auxiliary"),
    *("iterations", "auxiliary_iterations"),
)
RANDOM = "random"


class Spec(NamedTuple):
    """What a suite says of a model that has no name of its own."""

    family: str
    size: str
    resolution: int
    routes: Routes | None
    weights: str
    sha256: str | None
    auxiliary: str | None
    iterations: int | None = None
    """How long the weights were trained, for plots over training; images do not depend on what is said here."""
    auxiliary_iterations: int | None = None

    @property
    def request(self) -> Request:
        """The architecture asked for, in the family's terms."""
        letter, patch = self.size.split("/") if self.size else ("", "0")
        return Request(letter, int(patch), self.resolution // LATENT_SHRINK, self.routes)

    def text(self) -> str:
        """The canonical text form; `parse` reads it back."""
        optional = {key: getattr(self, key) for key in ("sha256", "auxiliary", "iterations", "auxiliary_iterations")}
        rest = [f"{key}={shlex.quote(str(value))}" for key, value in optional.items() if value is not None]
        return " ".join([*self._head(), f"weights={shlex.quote(self.weights)}", *rest])

    def without_paths(self) -> str:
        """What of the text is part of a cell's identity: where the weights lie and how long they trained is not."""
        return " ".join([*self._head(), f"weights={RANDOM}"] if self.weights == RANDOM else self._head())

    def _head(self) -> list[str]:
        route = [] if self.routes is None else [f"route={spell_routes(self.routes)}"]
        return [*([self.family, self.size] if self.size else [self.family]), str(self.resolution), *route]


def is_spec(name: str) -> bool:
    """Whether a model's name is the text form of a spec."""
    return " " in name.strip()


def text_of(value: object) -> object:
    """The text form of a mapping; anything else as it is. For use while a suite file is read: raises ValueError."""
    if not isinstance(value, Mapping):
        return value
    try:
        return from_fields({str(key): item for key, item in value.items()}, "model").text()
    except UserError as error:
        raise ValueError(f"{error.what} ({error.fix})") from error


def parse(name: str, where: str) -> Spec:
    """The spec that a text form stands for. Raises UserError for one that means nothing."""
    try:
        words = shlex.split(name)
    except ValueError as error:
        raise UserError(f"{name!r} has a quote that is not closed", where=where, fix="close it") from error
    bare = [word for word in words if "=" not in word]
    # A pipeline is of the size that its folder says.
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
    """The spec of a mapping as a suite holds it. Raises UserError for one that means nothing."""
    for key in fields:
        if key not in KEYS:
            raise UserError(
                f"unknown key {key!r}{suggestion(key, KEYS)}", where=where, fix=f"the keys are {', '.join(KEYS)}"
            )
    if fields.get("family") is not None:
        family(str(fields["family"]), where)
    pipeline = fields.get("family") is not None and FAMILIES[str(fields["family"])].pipeline
    for key in ("family", "weights") if pipeline else ("family", "size", "weights"):
        if fields.get(key) is None or (key == "weights" and fields[key] == ""):
            raise UserError(f"a model needs {key}", where=where, fix=f"add `{key}: ...`")
    for key in ("size", "sha256", "auxiliary", "iterations", "auxiliary_iterations"):
        if pipeline and fields.get(key) is not None:
            raise UserError(f"a pipeline has no {key} of its own", where=where, fix=f"leave {key} out")
    size = "" if pipeline else str(fields["size"])
    if not pipeline and not re.fullmatch(rf"({'|'.join(SIZES)})/[248]", size):
        raise UserError(
            f"there is no size {size!r}",
            where=where,
            fix=f"write a letter of {', '.join(SIZES)} and a patch of 2, 4 or 8, such as XL/2",
        )
    route = fields.get("route")
    routes = None if route is None else parse_routes(_spell(route), where)
    sha256 = fields.get("sha256")
    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", str(sha256)):
        raise UserError(f"{sha256} is not a sha256", where=where, fix="give 64 hexadecimal digits, or leave it out")
    auxiliary = fields.get("auxiliary")
    if sha256 is not None and fields["weights"] == RANDOM:
        raise UserError("random weights have no sha256", where=where, fix="leave sha256 out")
    if auxiliary == RANDOM:
        raise UserError("an auxiliary checkpoint is a file", where=where, fix="give its path, or leave it out")
    if auxiliary is None and fields.get("auxiliary_iterations") is not None:
        raise UserError("there is no auxiliary checkpoint", where=where, fix="leave auxiliary_iterations out")
    return Spec(
        str(fields["family"]),
        size,
        _resolution(fields.get("resolution", 256), where),
        routes,
        str(fields["weights"]),
        None if sha256 is None else str(sha256),
        None if auxiliary is None else str(auxiliary),
        _iterations(fields.get("iterations"), "iterations", where),
        _iterations(fields.get("auxiliary_iterations"), "auxiliary_iterations", where),
    )


def _iterations(value: object, key: str, where: str) -> int | None:
    if value is None:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,99}", str(value)):
        raise UserError(f"{key} {value} is no number of training iterations", where=where, fix="give a whole number")
    return int(str(value))


def _spell(route: object) -> str:
    """A route as YAML may hold it, [[2, 24]] or 2-24, in text form."""
    if isinstance(route, list | tuple):
        pairs = [route] if route and not isinstance(route[0], list | tuple) else route
        return ",".join("-".join(str(block) for block in pair) for pair in pairs) or "none"
    return str(route)


def _resolution(value: object, where: str) -> int:
    text = str(value)
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) == 0 or int(text) % 64:
        raise UserError(
            f"resolution {text} cannot be served",
            where=where,
            fix="give pixels, a multiple of 64, such as 256 or 512",
        )
    return int(text)
