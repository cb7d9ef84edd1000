"""YAML as people write it, in which no key may stand twice: readers take the last of two and say nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from yaml.error import MarkedYAMLError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def documents(text: str) -> Iterator[tuple[yaml.Node, Any]]:
    """Every document that is not empty: its nodes, which know their lines, and what it says.

    Raises yaml.YAMLError, with the place as `problem_mark` where there is one.
    """
    loader = _Loader(text)
    try:
        while loader.check_node():
            node: yaml.Node = loader.get_node()
            _refuse_twice(node, set())
            yield node, loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_twice(node: yaml.Node, known: set[int]) -> None:
    """Before merge keys (`<<`) are resolved: what they bring may be said again."""
    if id(node) in known:  # an alias, maybe of what it stands in
        return
    known.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_twice(item, known)
    elif isinstance(node, yaml.MappingNode):
        said: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in said:
                problem = f"`{key.value}` stands twice in one object: leave one out"
                raise MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            said |= {key.value} if isinstance(key, yaml.ScalarNode) else set()
            _refuse_twice(value, known)
