"""JSON as nobody should have written it: a good object with a few parts replaced, left out or doubled."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Json = Any
Path = tuple[str | int, ...]


def _nested(depth: int) -> Json:
    value: Json = "deep"
    for _ in range(depth):
        value = {"deeper": [value]}
    return value


ODD: list[Json] = [
    None,
    "",
    0,
    -1,
    [],
    {},
    True,
    1.5,
    10**20,
    -(2**63),
    "True",
    "NaN",
    "no such word",
    "2026-13-45T99:99:99Z",
    "\u202e\u0000ünï\U0001f4a3",
    "x" * 70_000,
    [None],
    ["text"],
    [[]],
    [{}],
    {"name": None},
    {"deep": _nested(60)},
]
"""Values of every type, where another is expected; the mildest first."""


def paths(value: Json, above: Path = ()) -> Iterator[Path]:
    """Every place in a document but the root."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*above, key)
        yield from paths(part, (*above, key))


@st.composite
def mutated(draw: st.DrawFn, good: Json, spare: tuple[str, ...] = (), most: int = 3) -> Json:
    """`good` with up to `most` changes; fields of the root in `spare` stay as they are."""
    found = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, most))):
        places = [path for path in paths(found) if path[0] not in spare]
        if not places:
            break
        chosen: list[Any] = list(draw(st.sampled_from(places)))
        *above, last = chosen
        part: Any = found
        for key in above:
            part = part[key]
        match draw(st.sampled_from(["replaced", "replaced", "left out", "doubled"])):
            case "replaced":
                part[last] = copy.deepcopy(draw(st.sampled_from(ODD)))
            case "left out":
                del part[last]
            case "doubled" if isinstance(part, list):
                part.append(copy.deepcopy(part[last]))
            case _:
                part[last] = [copy.deepcopy(part[last])]
    return found
