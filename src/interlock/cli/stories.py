"""Stories from files: what is wrong with one is said with its line and its field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from pydantic import ValidationError

from interlock.cli import yamls
from interlock.cli.documents import load
from interlock.errors import SpecError
from interlock.model.base import problems
from interlock.simulation.story import Story


def read_story(source: str) -> Story:
    """The story of a file (`-` is stdin). Raises SpecError that lists everything that is wrong with it."""
    text, name = load(source), "stdin" if source == "-" else source
    try:
        found = list(yamls.documents(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise SpecError(f"{name}{place}: must be YAML: {getattr(error, 'problem', error)}") from error
    node, content = found[0] if len(found) == 1 else (None, None)
    if not isinstance(content, dict):
        raise SpecError(f"{name}: must be a story: one object with at least `rate`")
    try:
        return Story.model_validate(content)
    except ValidationError as error:
        places = [found["loc"] for found in error.errors()]
        said = zip(places, problems(error), strict=True)
        lines = (f"{name}, line {_line(node, place)}: {problem}" for place, problem in said)
        raise SpecError("\n".join(lines)) from error


def _line(node: Any, place: Sequence[str | int]) -> int:
    """The line (from 1) where the deepest part of a path begins that is there."""
    line = node.start_mark.line + 1
    for key in place:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(key)), None)
            if found is None:
                return int(line)
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
    return int(line)
