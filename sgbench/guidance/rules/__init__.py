"""The guidance rules, one a file: every file here has a RULE, and no table lists them. Users add their own."""

from sgbench.base.discover import found
from sgbench.base.registry import Registry
from sgbench.guidance.branches import Rule
from sgbench.guidance.record import closed_rule, rule_record
from sgbench.guidance.segments import JOINT, in_turn


class _Rules(Registry[Rule]):
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
RULES = _Rules("guidance rule", Rule, _FOUND, record=rule_record, restore=closed_rule)
