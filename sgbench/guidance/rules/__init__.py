"""The guidance rules, one a file: every file here has a RULE, and no table lists them."""

from sgbench.base.discover import found
from sgbench.guidance.branches import Rule

_FOUND: list[Rule] = sorted(found(__name__, "RULE"), key=lambda rule: (rule.rank, rule.name))
RULES = {rule.name: rule for rule in _FOUND}
