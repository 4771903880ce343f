"""One digest of what a live network is: the tensors and all else that its modules hold, and the code that it runs.

Objects are taken apart as `copy.deepcopy` takes them apart, so that what can be copied can be told apart. Functions are
known by their bytecode, constants and names, and by what they find under these names. What comes with Python, torch or
sgbench is known by its name alone.
"""

import functools
import hashlib
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import CellType, CodeType, EllipsisType, FunctionType, MethodType, ModuleType
from typing import Any, Final

import torch
from torch import Tensor, nn

from sgbench.base.user_code import code_digest

PLAIN: Final = (bool, int, float, complex, str, bytes, type(None), EllipsisType, torch.dtype, torch.device)
# What is looked into where code names it, or a class has it. Of anything else the kind is known.
NAMED: Final = (*PLAIN, tuple, list, dict, set, frozenset, Tensor, FunctionType, type, ModuleType)
GIVEN: Final = {"torch", "sgbench", *sys.stdlib_module_names}
PACKAGES: Final = "site-packages"
PYTHON: Final = Path(functools.__file__).parent
HOOKS: Final = ("_forward_pre_hooks", "_forward_hooks")
# What torch keeps in every module, but for that which makes the output.
KEPT_BY_TORCH: Final = vars(nn.Module()).keys() - {"_parameters", "_buffers", "_modules"}


class Fingerprint:
    """A digest that things are added to, in an order. Raises what taking an object apart raises."""

    def __init__(self) -> None:
        self.total = hashlib.sha256()
        self.seen: dict[int, int] = {}
        self.alive: list[object] = []
        """What was seen: the number of an object that is gone may be given again."""

    def hexdigest(self) -> str:
        return self.total.hexdigest()

    def add(self, value: Any) -> None:
        """Add anything."""
        if type(value) in PLAIN:
            self.word(f"{type(value).__name__} {value!r}")
        elif isinstance(value, tuple | list):
            self.word(f"{type(value).__name__} of {len(value)}")
            for item in value:
                self.add(item)
        elif isinstance(value, set | frozenset):
            self.add(sorted(digest(item) for item in value))
        elif isinstance(value, CodeType):
            self._code(value)
        elif id(value) in self.seen:
            self.word(f"again {self.seen[id(value)]}")
        else:
            self.seen[id(value)] = len(self.seen)
            self.alive.append(value)
            self._first(value)

    def word(self, text: str) -> None:
        """Add a text, and where it ends."""
        content = text.encode("utf-8", "surrogatepass")
        self.total.update(b"%d:" % len(content) + content)

    def _first(self, value: Any) -> None:
        """Add what may be met again."""
        if isinstance(value, Tensor):
            self._tensor(value)
        elif isinstance(value, nn.Module):
            self._module(value)
        elif isinstance(value, dict):
            self.add([part for pair in value.items() for part in pair])
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, MethodType):
            self.add((value.__func__, value.__self__))
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, ModuleType):
            self._imported(value)
        elif not isinstance(value, weakref.ReferenceType):
            self._object(value)

    def _imported(self, value: ModuleType) -> None:
        """The name of a module, and its files where they are the user's."""
        self.word(value.__name__)
        file = Path(getattr(value, "__file__", None) or "")
        if value.__name__.partition(".")[0] not in GIVEN and file.suffix == ".py" and PACKAGES not in file.parts:
            self.word(code_digest(file, file.parent, "model")[0])

    def _tensor(self, value: Tensor) -> None:
        self.word(f"{value.dtype} {tuple(value.shape)}")
        if value.is_meta:
            raise ValueError("a tensor on the device meta has no values")
        dense = value.detach() if value.layout == torch.strided else value.detach().to_dense()
        dense = torch.view_as_real(dense.resolve_conj()) if dense.is_complex() else dense
        self.total.update(dense.cpu().contiguous().flatten().view(torch.uint8).numpy().data)

    def _module(self, value: nn.Module) -> None:
        """What a module holds, and the name of its class."""
        self.word(type(value).__qualname__)
        for name, held in vars(value).items():
            if name in HOOKS:
                # Their numbers count all hooks of the process.
                self.add(list(held.values()))
            elif name not in KEPT_BY_TORCH:
                self.word(name)
                self.add(held)

    def _function(self, value: FunctionType) -> None:
        self.word(value.__qualname__)
        if _is_given(value):
            return
        self.add((value.__code__, value.__defaults__, value.__kwdefaults__))
        # Not so the wrapper that a decorator of Python's or a package's has put around a function.
        file = Path(value.__code__.co_filename)
        own = PACKAGES not in file.parts and not file.is_relative_to(PYTHON)
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            # An empty cell is like another.
            if cell != CellType():
                self._named(name, cell.cell_contents, own)
        if own:
            for name in sorted(set(_names(value.__code__)) & value.__globals__.keys()):
                self._named(name, value.__globals__[name])

    def _named(self, name: str, value: Any, whole: bool = False) -> None:
        """Add what a name stands for; with `whole` it is looked into, whatever it is."""
        self.word(name)
        self.add(value if whole or isinstance(value, NAMED) else type(value).__qualname__)

    def _code(self, value: CodeType) -> None:
        self.add((value.co_code, value.co_exceptiontable, value.co_flags, value.co_argcount, value.co_kwonlyargcount))
        self.add((value.co_names, value.co_varnames, value.co_freevars, value.co_consts))

    def _class(self, value: type) -> None:
        """The methods and attributes of a class, and of its bases."""
        self.word(value.__qualname__)
        for base in value.__mro__:
            if _is_given(base):
                continue
            for name, held in sorted(vars(base).items()):
                found = _function_of(held)
                if isinstance(found, FunctionType) or not name.startswith("__"):
                    self._named(f"{base.__qualname__}.{name}", found)

    def _object(self, value: object) -> None:
        """An object of any other class, as it would be copied."""
        self.add(type(value))
        parts = value.__reduce_ex__(4)
        if isinstance(parts, str):
            self.word(parts)
            return
        made, given, state, items, pairs = (*parts, None, None, None)[:5]
        self.add((made, given, state, list(items or ()), list(pairs or ())))


def digest(value: object) -> str:
    """The digest of one thing."""
    made = Fingerprint()
    made.add(value)
    return made.hexdigest()


def _is_given(value: Any) -> bool:
    """Whether a function or a class comes with Python, torch or sgbench."""
    return (value.__module__ or "").partition(".")[0] in GIVEN


def _names(code: CodeType) -> Iterator[str]:
    """Names of a function's code, and of the functions that it makes."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _function_of(held: Any) -> Any:
    """The function, or functions, behind what stands in a class."""
    if isinstance(held, staticmethod | classmethod):
        return held.__func__
    if isinstance(held, property):
        return held.fget, held.fset
    return held.func if isinstance(held, functools.cached_property) else held
