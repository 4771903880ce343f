"""Shapes of the tensors in a torch file, by a reader of its pickle that makes shapes and nothing else. No torch.

The pickle of a torch file names functions that make its tensors. The reader calls none of them: tensors become their
shapes, and whatever else is named becomes an object without behaviour. Values are not read.
"""

import pickle
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

MOST_BYTES = 64 << 20


class Shape(tuple[int, ...]):
    """The shape of a tensor."""


class _Dict(dict[Any, Any]):
    """A mapping that takes attributes, as an ordered one does."""


class _Inert:
    """In place of anything else that a pickle makes."""

    def __init__(self, *_: object) -> None:
        pass

    def __call__(self, *_: object) -> "_Inert":
        return self

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        pass


def read_shapes(path: Path) -> object:
    """The content of a zipped torch file, tensors as shapes; None for a file of another kind or a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl")
            with archive.open(name) as stream:
                return _Reader(_Bounded(stream)).load()
    except Exception:  # A damaged pickle can end the reader in any way.
        return None


class _Bounded:
    """A stream that ends with an error after so many bytes: a small archive may hold an endless pickle."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.left = stream, MOST_BYTES

    def read(self, size: int) -> bytes:
        return self._taken(self.stream.read(min(size, self.left + 1)))

    def readline(self) -> bytes:
        return self._taken(self.stream.readline(self.left + 1))

    def _taken(self, found: bytes) -> bytes:
        self.left -= len(found)
        if self.left < 0:
            raise ValueError("the pickle is too long")
        return found


class _Reader(pickle._Unpickler):
    """The reader in Python: the one in C makes a table as long as the largest number that a pickle gives an object."""

    # Makes as many bytes as a pickle says, whether they follow or not; torch writes none.
    dispatch: ClassVar[dict[int, Callable[..., Any]]] = {
        code: read for code, read in pickle._Unpickler.dispatch.items() if code != pickle.BYTEARRAY8[0]
    }

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case "collections", "OrderedDict":
                return _Dict
            case "torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor":
                return _shape
            case "torch._utils", "_rebuild_parameter":
                return _parameter
            case _:
                return _Inert

    def persistent_load(self, pid: object) -> None:
        """A storage, which is not read."""


def _shape(storage: None, offset: int, size: Sequence[int], *_: object) -> Shape:
    if not all(isinstance(number, int) for number in size):
        raise ValueError("a shape is made of whole numbers")
    return Shape(size)


def _parameter(data: Shape, *_: object) -> Shape:
    return data
