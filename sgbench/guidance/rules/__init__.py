"""The guidance rules, one a file: every file here has a RULE, and no table lists them."""

from sgbench.base.discover import found
from sgbench.guidance.branches import Rule
from sgbench.guidance.segments import JOINT, in_turn


class _Rules(dict[str, Rule]):
    """Rules by name. Rules that act in turn are made when they are first named."""

    def __missing__(self, name: str) -> Rule:
        if name not in self:
            raise KeyError(name)
        self[name] = made = in_turn([self[part] for part in name.split(JOINT)])
        return made

    def __contains__(self, name: object) -> bool:
        parts = name.split(JOINT) if isinstance(name, str) else []
        return super().__contains__(name) or (
            len(parts) > 1 and all(super(_Rules, self).__contains__(p) for p in parts)
        )


_FOUND: list[Rule] = sorted(found(__name__, "RULE"), key=lambda rule: (rule.rank, rule.name))
RULES: dict[str, Rule] = _Rules({rule.name: rule for rule in _FOUND})
