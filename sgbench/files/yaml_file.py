"""The YAML that suites are written in: mappings, lists and scalars of bounded size, every key once, no tags.

Anchors, aliases and merge keys may be used; what they stand for counts as often as it is used.
"""

from collections.abc import Hashable
from typing import Any, Final

import yaml

from sgbench.base.printable import DIRECTIONS

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # PyYAML was built without libyaml.
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

DEEPEST: Final = 30
MOST_NODES: Final = 1_000_000
LONGEST_NUMBER: Final = 40
LONGEST_TEXT: Final = 10_000
NUMBERS: Final = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
TEXT: Final = "tag:yaml.org,2002:str"
MERGE: Final = "tag:yaml.org,2002:merge"


def parse_yaml(text: str) -> Any:
    """The one document in `text`. Raises yaml.YAMLError, with the place where there is one."""
    # Checked first: building deeply nested nodes would exhaust the stack.
    _check_events(text)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _weigh(node, {})
        return loader.construct_document(node)
    finally:
        loader.dispose()


class _Loader(_Base):
    """The safe loader without dates, and with every key once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            # A merge key may be repeated in effect: what stands in the mapping itself wins.
            if key.tag == MERGE:
                continue
            if key.tag != TEXT:
                raise _fault("a key is not text: put it in quotes", key)
            if key.value in seen:
                raise _fault(f"the key {key.value!r} is given twice", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def number(self, node: yaml.ScalarNode) -> int | float:
        """YAML 1.1 resolves `0b_` as a number, which it is not."""
        read = self.construct_yaml_int if node.tag == NUMBERS[0] else self.construct_yaml_float
        try:
            return read(node)
        except ValueError as error:
            raise _fault(f"{node.value!r} is not a number", node) from error


for _tag in NUMBERS:
    _Loader.add_constructor(_tag, _Loader.number)
# A date is text to a suite.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if not tag.endswith((":timestamp", ":value"))]
    for first, pairs in _Base.yaml_implicit_resolvers.items()
}


def _check_events(text: str) -> None:
    """Depth, tags and scalars, one event after the other."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise _fault(f"it is nested more than {DEEPEST} levels deep", event)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if getattr(event, "tag", None) is not None:
            raise _fault("tags such as !!python are not allowed", event)
        if isinstance(event, yaml.ScalarEvent):
            _check_scalar(event)


def _check_scalar(event: yaml.ScalarEvent) -> None:
    if len(event.value) > LONGEST_TEXT:
        raise _fault(f"a text has more than {LONGEST_TEXT:,} characters", event)
    for character in event.value:
        if (not character.isprintable() and character not in "\n\t" and ord(character) < 0xA0) or (
            character in DIRECTIONS or character == "\x7f"
        ):
            raise _fault(f"a text holds the control character U+{ord(character):04X}", event)


def _weigh(node: yaml.Node, known: dict[int, int]) -> int:
    """The number of nodes under a node, aliases expanded. Raises YAMLError for too many, and for recursive aliases."""
    if id(node) in known:
        if known[id(node)] == 0:
            raise _fault("an alias refers to a node that contains it", node)
        return known[id(node)]
    known[id(node)] = 0
    count = 1
    if isinstance(node, yaml.MappingNode):
        count += sum(_weigh(key, known) + _weigh(value, known) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        count += sum(_weigh(item, known) for item in node.value)
    elif node.tag in NUMBERS and len(node.value) > LONGEST_NUMBER:
        raise _fault(f"a number has more than {LONGEST_NUMBER} characters", node)
    if count > MOST_NODES:
        raise _fault(f"with its aliases written out it holds more than {MOST_NODES:,} values", node)
    known[id(node)] = count
    return count


def _fault(problem: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)
