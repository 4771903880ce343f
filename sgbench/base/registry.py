"""The one door for rules, samplers, metrics and the like: what is built in, and what a user brings. No torch.

Built-in things are in their registry from the start. A file `mine.py:RULE` that a suite names is added by the suite,
and what installed packages offer in the entry-point group `sgbench` by `load_installed`. A name belongs to one thing.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from sgbench.base.errors import CellError, UserError, plain
from sgbench.base.user_code import UserCode, code_digest, line_of, load, locate

T = TypeVar("T")
Facts = dict[str, Any]
GROUP: Final = "sgbench"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class Origin(NamedTuple):
    """Where a thing comes from."""

    text: str
    """`sgbench`, a reference such as `mine.py:RULE`, or a package and its version."""
    sha256: str = ""
    """Of its code, for what is not built in."""
    files: tuple[Path, ...] = ()
    """What the code is made of, where it is a file of the user's."""
    closed: bool = False
    """Whether it was read from a record of results: it can be named and drawn, not run."""


BUILT_IN: Final = Origin("sgbench")
REGISTRIES: Final[list["Registry[Any]"]] = []


class Registry(dict[str, T]):
    """Things of one kind by name, in the order of lists."""

    def __init__(
        self,
        what: str,
        kind: type[T],
        things: Iterable[T],
        name: Callable[[T], str] = attrgetter("name"),
        *,
        record: Callable[[T], Facts],
        restore: Callable[[Facts], T],
        names: re.Pattern[str] = NAME,
    ):
        """`what` they are called in messages, and the class they are of.

        `record` gives what results keep of a thing, as JSON takes it; `restore` makes of that a closed thing, which
        reports can name and draw without its code. It raises KeyError, TypeError or ValueError for other facts.
        """
        super().__init__((name(thing), thing) for thing in things)
        self.what, self.kind, self.name_of, self.record, self.restore = what, kind, name, record, restore
        self.names = names
        self.origins: dict[str, Origin] = {}
        """Of what is not built in."""
        self.recorded: dict[tuple[str, str], tuple[T, Origin]] = {}
        """Closed things by name and sha256: results may hold several versions of one."""
        REGISTRIES.append(self)

    def origin(self, name: str) -> Origin:
        """Where the thing of this name comes from."""
        return self.origins.get(name, BUILT_IN)

    def built_in(self, name: str) -> bool:
        """Whether a thing of this name comes with sgbench."""
        return name in self and name not in self.origins

    def add(self, thing: object, origin: Origin, where: str) -> str:
        """Add a thing and return its name; the same thing again, or from newer code, takes the place of the old one.

        Raises UserError for another kind of thing and for a name that is taken.
        """
        if not isinstance(thing, self.kind):
            raise UserError(
                f"{origin.text} is {_described(thing)}, not a {self.what}",
                where=where,
                fix=f"give an object of the class {self.kind.__name__}",
            )
        name = self.name_of(thing)
        if not isinstance(name, str) or not self.names.fullmatch(name):
            fix = "write letters, digits and any of . _ + -"
            raise UserError(f"{name!r}, the name of {origin.text}, is not a valid name", where=where, fix=fix)
        same = name in self and self[name] == thing
        if same and self.built_in(name):
            return name
        before = self.origins.get(name)
        if self.built_in(name) or not (before is None or self._renewed(before, origin, same)):
            other = self.origin(name)
            place = str(other.files[0]) if other.files and other.text == origin.text else other.text
            raise UserError(
                f"{origin.text} is called {name}, which is the name of a {self.what} of {place}",
                where=where,
                fix="give it another name",
            )
        if origin.closed:
            self.recorded[name, origin.sha256] = thing, origin
        if not (same and before and (before.closed, before.sha256) == (origin.closed, origin.sha256)):
            self[name], self.origins[name] = thing, origin
        return name

    def _renewed(self, before: Origin, origin: Origin, same: bool) -> bool:
        """Whether what comes from `origin` may take the place of what came from `before`."""
        if before.closed:
            return True
        if before.text == origin.text and before.sha256 == origin.sha256:
            # The same code, wherever its folder is now.
            return True
        if not origin.files or before.files[:1] != origin.files[:1]:
            return False
        # An extractor that one metric brought comes by its own name, too, and from a newer version of the file.
        return same or before.text == origin.text or before.sha256 != origin.sha256

    def recall(self, sha256: str, named: Callable[[str], bool], where: str) -> str | None:
        """The name of a thing of this code whose reference is `named` so, brought or recorded, which then has its name.

        Raises UserError as `add` does.
        """
        for name, origin in self.origins.items():
            if origin.sha256 == sha256 and named(origin.text):
                return name
        for (_, recorded), (thing, origin) in self.recorded.items():
            if recorded == sha256 and named(origin.text):
                return self.add(thing, origin, where)
        return None

    def drop_brought(self) -> None:
        """Forget what came from files of users'."""
        for name in [name for name, origin in self.origins.items() if origin.files]:
            del self[name], self.origins[name]

    def takes(self, thing: object) -> bool:
        """Whether a thing that a package offers is of this kind."""
        return isinstance(thing, self.kind)

    def offer(self, thing: Any, origin: Origin, where: str) -> None:
        """Add what an installed package offers; what is built in keeps its name. Raises UserError as `add` does."""
        if not self.built_in(self.name_of(thing)):
            self.add(thing, origin, where)

    def place(self, name: str, function: object) -> str:
        """` (FILE, line N)` of a function of a user's thing; empty for what is built in."""
        code = getattr(function, "__code__", None)
        return "" if code is None or self.built_in(name) else f" ({code.co_filename}, line {code.co_firstlineno})"

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Raise CellError, naming file and line, for what a user's code raises in here; where no line of it was passed,
        as by a function of a library that it hands over, the file.

        Lack of memory stays what it is: a smaller batch may do.
        """
        try:
            yield
        except (UserError, MemoryError):
            raise
        except Exception as error:
            if self.built_in(name) or (isinstance(error, RuntimeError) and "memory" in str(error).lower()):
                raise
            origin = self.origin(name)
            at = line_of(error, origin.files) or "".join(map(str, origin.files[:1]))
            raise CellError(
                f"the {self.what} {name} fails{at and f' in {at}'} ({type(error).__name__}: {plain(error)})",
                where=origin.text,
                fix="correct that line",
            ) from error

    def bring(self, reference: str, folder: Path, where: str) -> str:
        """Add what `FILE.py:NAME` names, relative to `folder`, and return its name. Raises UserError."""
        code = locate(reference, folder, where)
        if code.measured:
            raise UserError(
                f"{reference} names a metric, not a {self.what}", where=where, fix="remove what is before @"
            )
        return self.add(load(code, where), origin_of(code), where)


def origin_of(code: UserCode) -> Origin:
    """The origin of what a user's file holds."""
    return Origin(code.reference, code.sha256, code.files)


@cache
def load_installed() -> None:
    """Add what installed packages offer. What is built in keeps its name.

    Raises UserError for a package that fails on import, offers something else, or claims the name of another's.
    """
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        where = f"the entry point {point.name} = {point.value}"
        thing, origin = _from_package(point, where)
        registry = next((registry for registry in REGISTRIES if registry.takes(thing)), None)
        if registry is None:
            known = ", ".join(f"{registry.kind.__name__} ({registry.what})" for registry in REGISTRIES)
            fix = f"offer an object of one of the classes {known}"
            raise UserError(f"{origin.text} offers {_described(thing)}", where=where, fix=fix)
        registry.offer(thing, origin, where)


def _from_package(point: EntryPoint, where: str) -> tuple[object, Origin]:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else point.module
    try:
        thing = point.load()
    except (Exception, SystemExit) as error:
        raise UserError(
            f"{package} fails on import ({type(error).__name__}: {error})",
            where=line_of(error) or where,
            fix="mend or uninstall the package",
        ) from error
    spec = find_spec(point.module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return thing, Origin(package, package)
    file = Path(spec.origin)
    folder = file.parents[point.module.count(".") + (file.name == "__init__.py")]
    return thing, Origin(package, code_digest(file, folder, where, point.module.partition(".")[0])[0])


def as_tuple(value: Any) -> Any:
    """A value of a record; JSON made a list of what was a tuple."""
    return tuple(value) if isinstance(value, list) else value


def _described(thing: object) -> str:
    return f"the class {thing.__name__}" if isinstance(thing, type) else f"an object of class {type(thing).__name__}"
