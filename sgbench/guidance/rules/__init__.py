"""The guidance rules, one a file: every file here has a RULE, and no table lists them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from sgbench.guidance.branches import Rule


def _found() -> Iterator[Rule]:
    for file in iter_modules(__path__):
        rule: Rule = import_module(f"{__name__}.{file.name}").RULE
        yield rule


RULES: dict[str, Rule] = {rule.name: rule for rule in sorted(_found(), key=lambda rule: (rule.rank, rule.name))}
