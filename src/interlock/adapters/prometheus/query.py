"""Which reads share a query, and its PromQL.

All families of an agent come in one query: Prometheus then shows all or nothing of a scrape. Two queries
might show a violation without the task it belongs to.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from interlock.adapters.prometheus.labels import CANONICAL, LabelNames
from interlock.ports import Selection

AGENTS = 200
"""Agents in a query at most; Prometheus looks up to 256 alternatives up by name, more it tries one by one."""
USUAL_WINDOW = 120.0
"""Seconds. A query that reads more has fewer agents: its answer is longer, and is worked through at once."""
MAX_GROUPS = 4
"""Sets of families that are asked for apart. What else is wanted is read with the set it is nearest to."""


def query(selections: Sequence[Selection], window: float, names: LabelNames = CANONICAL) -> str:
    """The PromQL of all families and agents of `selections`, alike in `every`, over `window` seconds.

    Namespaces and agents are matched apart, so the answer may hold agents that nobody asked for.
    """
    matchers = (
        _matcher("__name__", {family for selection in selections for family in selection.families}),
        _matcher(names.namespace, {selection.namespace for selection in selections}),
        _matcher(names.agent, {selection.agent for selection in selections}),
    )
    every = f":{round(selections[0].every * 1000)}ms" if selections[0].every else ""
    return f"{{{','.join(matchers)}}}[{max(1, math.ceil(round(window * 1000, 3)))}ms{every}]"


def shares(selections: Iterable[Selection]) -> list[list[Selection]]:
    """The queries that a tick needs: like with like, at most `AGENTS` in each.

    In order of namespace and agent, so that a query holds few namespaces.
    """
    found = []
    for group in _grouped(selections):
        group.sort(key=lambda selection: (selection.namespace, selection.agent))
        window = max(selection.window for selection in group)
        size = max(1, int(AGENTS * min(1.0, USUAL_WINDOW / window) ** 2))
        found += [group[first : first + size] for first in range(0, len(group), size)]
    return found


def _grouped(selections: Iterable[Selection]) -> list[list[Selection]]:
    """By families: the most frequent sets alone, each of the others with the one it adds least to."""
    alike: dict[frozenset[str], list[Selection]] = defaultdict(list)
    for selection in selections:
        alike[selection.families].append(selection)
    ordered = sorted(alike, key=lambda families: (-len(alike[families]), sorted(families)))
    groups = {families: alike[families] for families in ordered[:MAX_GROUPS]}
    for families in ordered[MAX_GROUPS:]:
        nearest = min(groups, key=lambda known: len(known ^ families))
        groups[nearest] += alike[families]
    return list(groups.values())


def _matcher(label: str, values: set[str]) -> str:
    """One value is compared, several are alternatives and nothing else."""
    if len(values) == 1:
        return f'{label}="{_quoted(*values)}"'
    return f'{label}=~"{_quoted("|".join(re.escape(value) for value in sorted(values)))}"'


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
