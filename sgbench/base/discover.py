"""What the files of a folder define under one name: rules, samplers and metrics need no table. No torch."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any


def found(package: str, name: str) -> Iterator[Any]:
    """`name` of every module of the package, in the order of their names."""
    for file in iter_modules(import_module(package).__path__):
        yield getattr(import_module(f"{package}.{file.name}"), name)
