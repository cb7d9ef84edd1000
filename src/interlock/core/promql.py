"""Expressions of Prometheus with places for the names of a rollout, which stand in quoted texts only. Pure.

Admins write the expressions. Whoever writes a Rollout chooses names alone: they are DNS labels, so none of
them can end a text or mean anything in a pattern, and anything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from interlock.errors import SpecError

PLACES = (
    "namespace",
    "agent",
    "candidate.version",
    "candidate.workload",
    "stable.version",
    "stable.workload",
)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
# Prometheus, promql/parser/lex.go: '…' and "…" with escapes, `…` without; # begins a comment
_PIECE = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`)|(?P<comment>\#[^\n]*)|(?P<code>[^"'`#]+)""",
    re.DOTALL,
)


def check(promql: str, field: str) -> None:
    """Raises SpecError, naming `field`, where a place is not one of ours or does not stand in a text."""
    for kind, piece in _pieces(promql, field):
        places = [found.strip() for found in _PLACE.findall(piece)]
        if kind != "text" and "{{" in piece:
            raise SpecError(
                f"`{field}` must have each {{{{…}}}} in a quoted text, as the value of a label: "
                'like namespace="{{namespace}}"'
            )
        for place in places:
            if place not in PLACES:
                raise SpecError(
                    f"`{field}` must not have {{{{{place[:64]}}}}}: there are "
                    + ", ".join(f"{{{{{known}}}}}" for known in PLACES)
                )


def filled(promql: str, names: Mapping[str, str]) -> str:
    """With the names in their places. ValueError for a name that is no DNS label: it is never quoted."""
    return _PLACE.sub(lambda found: _safe(names[found[1].strip()]), promql)


def _safe(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} must consist of lower-case letters, digits and `-`")
    return name


def _pieces(promql: str, field: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(promql):
        found = _PIECE.match(promql, at)
        if found is None:
            raise SpecError(f"`{field}` must close the quoted text that begins at character {at + 1}")
        yield found.lastgroup or "", found[0]
        at = found.end()
