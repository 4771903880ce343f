"""The guidance rules, one a file: every file here has a RULE, and no table lists them. Users add their own."""

import re

from sgbench.base.discover import found
from sgbench.base.errors import UserError
from sgbench.base.registry import Origin, Registry
from sgbench.guidance.branches import Rule
from sgbench.guidance.presets import PRESETS
from sgbench.guidance.record import closed_rule, rule_record
from sgbench.guidance.segments import JOINT, in_turn
from sgbench.guidance.settings import Guidance

# Keys of a sweep entry that are no rule's own.
KEY = re.compile("[a-z][a-z0-9_]*")
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
        if isinstance(thing, Rule) and not origin.closed:
            what = self._fault(thing, origin)
            if what:
                raise UserError(what, where=where, fix="give it another name, of small letters, digits and _")
        before = dict(self)
        name = super().add(thing, origin, where)
        if self[name] is before.get(name):
            return name
        # They are made anew of their parts.
        for joint in [joint for joint in self if name in joint.split(JOINT)[1:] or joint.startswith(f"{name}{JOINT}")]:
            del self[joint]
        return name

    def _fault(self, rule: Rule, origin: Origin) -> str:
        """What keeps a rule's names from being keys and names of suites; empty where nothing does."""
        if JOINT in rule.name or rule.name in PRESETS:
            return f"{rule.name}, the name of {origin.text}, is that of a preset or of rules that act in turn"
        # What the same file held before is gone, and what is closed runs no more.
        stale = {name for name, one in self.origins.items() if one.closed or one.files[:1] == origin.files[:1] != ()}
        others = [one for name, one in self.items() if name not in {*stale, rule.name}]
        forms = {other.name: other.text for one in others for other in one.parameters}
        for parameter in rule.parameters:
            if forms.get(parameter.name, parameter.text) != parameter.text:
                return f"the parameter {parameter.name} of {origin.text} is written otherwise than that of other rules"
            if parameter.name in TAKEN:
                return f"the parameter {parameter.name} of {origin.text} has the name of a setting of every rule"
            if not KEY.fullmatch(parameter.name) or parameter.name.startswith("model_"):
                return f"the parameter {parameter.name!r} of {origin.text} is not a valid key"
        return ""


_FOUND: list[Rule] = sorted(found(__name__, "RULE"), key=lambda rule: (rule.rank, rule.name))
RULES = _Rules("guidance rule", Rule, _FOUND, record=rule_record, restore=closed_rule)
