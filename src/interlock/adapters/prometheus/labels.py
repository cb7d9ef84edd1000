"""What the labels are called by which Prometheus tells namespaces, agents, versions, modes and pods apart.

Whoever relabels in another way says so here once; everybody else sees the names of the contract.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from interlock.errors import SpecError

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_THEIRS = frozenset({"__name__", "le", "alertstate", "alertname"})
"""Names with a meaning of their own."""

Agent = tuple[str, str]
"""Namespace and name."""


def agent_of(labels: Mapping[str, str]) -> Agent:
    """Whose a series with these labels is, by our names of them."""
    return labels.get("namespace", ""), labels.get("agent", "")


@dataclass(frozen=True, slots=True)
class LabelNames:
    """Our name of each label, and what Prometheus calls it."""

    namespace: str = "namespace"
    agent: str = "agent"
    version: str = "version"
    mode: str = "mode"
    pod: str = "pod"

    def check(self) -> None:
        """SpecError for what is no label name, or the name of two."""
        for name in self.all:
            if not _LABEL_NAME.fullmatch(name) or name in _THEIRS:
                raise SpecError(f"{name!r} must be a label name of Prometheus: letters, digits and `_`")
        if len(set(self.all)) < len(self.all):
            raise SpecError(f"{', '.join(self.all)} must be different label names")

    @property
    def all(self) -> tuple[str, ...]:
        """What Prometheus calls them."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def ours(self, labels: dict[str, str]) -> dict[str, str]:
        """The labels of a series by our names; what had one of these gets `exported_` before it, as when
        Prometheus itself needs a name."""
        moved = [(field.name, getattr(self, field.name)) for field in fields(self)]
        moved = [(name, theirs) for name, theirs in moved if name != theirs]
        if not moved:
            return labels
        values = {name: labels[theirs] for name, theirs in moved if theirs in labels}
        taken = {theirs for _, theirs in moved}
        kept = {name: value for name, value in labels.items() if name not in taken}
        aside = {name for name, _ in moved}
        return {f"exported_{name}" if name in aside else name: v for name, v in kept.items()} | values


CANONICAL = LabelNames()
