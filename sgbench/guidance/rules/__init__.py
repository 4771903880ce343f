"""The guidance rules, one a file: every file here has a RULE, and no table lists them. Users add their own."""

from sgbench.base.discover import found
from sgbench.base.errors import UserError
from sgbench.base.registry import Origin, Registry
from sgbench.guidance.branches import Rule
from sgbench.guidance.record import closed_rule, rule_record
from sgbench.guidance.segments import JOINT, in_turn
from sgbench.guidance.settings import Guidance

# Keys of a sweep entry that are no rule's own.
TAKEN = {*Guidance._fields, "guidance", "model", "sampler", "steps", "shift", "churn"}


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

    def add(self, thing: object, origin: Origin, where: str) -> str:
        """Add a rule as its registry does. Raises UserError also for a setting that is not what others call so."""
        for parameter in thing.parameters if isinstance(thing, Rule) else ():
            forms = {other.name: other.text for rule in self.values() for other in rule.parameters}
            if forms.get(parameter.name, parameter.text) != parameter.text:
                what = f"the parameter {parameter.name} of {origin.text} is written otherwise than that of other rules"
            elif parameter.name in TAKEN:
                what = f"the parameter {parameter.name} of {origin.text} has the name of a setting of every rule"
            elif not parameter.name.isidentifier():
                what = f"the parameter {parameter.name!r} of {origin.text} is not a valid key"
            else:
                continue
            raise UserError(what, where=where, fix="give it another name, of letters, digits and _")
        return super().add(thing, origin, where)


_FOUND: list[Rule] = sorted(found(__name__, "RULE"), key=lambda rule: (rule.rank, rule.name))
RULES = _Rules("guidance rule", Rule, _FOUND, record=rule_record, restore=closed_rule)
