"""What befalls a Rollout: a script is a list of these acts, and every list is a script that can be played.

An act that has nothing to work on does nothing, so that a failing script shrinks by leaving acts out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.scenarios.objects import CRITICAL, SUCCESS, VIOLATIONS


@dataclass(frozen=True)
class Act:
    """One thing that somebody or something does; `value` says how."""

    name: str
    value: Any = None

    def __repr__(self) -> str:
        return f"{self.name}({'' if self.value is None else repr(self.value)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How hypothesis prints a script that fails."""
        printer.text(repr(self))


Script = list[Act]


def _step(name: str, minutes: int = 10, **kind: Any) -> dict[str, Any]:
    return {"name": name, "minDurationSeconds": minutes, "minTasks": 5, **kind}


FULL = _step("full", full={"soakSeconds": 10, "holdoutPercent": 10})
STRATEGIES: dict[str, list[dict[str, Any]]] = {
    "shadow, canary, full": [
        _step("shadow", shadow={"percent": 20}),
        _step("canary", canary={"percent": 20}),
        FULL,
    ],
    "shadow beside stable's, canary, full": [
        _step("shadow", shadow={"percent": 20, "control": True}),
        _step("canary", canary={"percent": 20}),
        FULL,
    ],
    "two canaries": [
        _step("small", canary={"percent": 10, "replicas": 1}),
        _step("large", canary={"percent": 50}),
        FULL,
    ],
    "full": [FULL],
}
PAGE = {"name": "page", "alert": {"matchLabels": {"severity": "page"}}}
GATES: dict[str, list[dict[str, Any]]] = {
    "all": [SUCCESS, VIOLATIONS, CRITICAL, PAGE],
    "laxer": [{**SUCCESS, "compare": {"worseByPoints": "5"}}, VIOLATIONS, CRITICAL],
    "none": [],
    "unknown metric": [{**SUCCESS, "metric": "no-such-metric"}],
}
VERSIONS = ("v1", "v2", "v3")
TELLING = (
    "pass",
    "inconclusive",
    "no data",
    "stale",
    "cold",
    "few tasks",
    "idle",
    "starved",
    "blind",
    "unreadable",
    "fail",
    "harm",
    "alert",
    "combined",
    "wrong split",
)
"""What the metrics say of whoever is tried."""
PLACES = ("Preparing", "Running", "Running 1", "Soaking", "Reverting", "Done")


def of(name: str, *values: Any) -> st.SearchStrategy[Act]:
    """One act with any of these values, the mildest first."""
    return st.sampled_from([Act(name, value) for value in values or (None,)])


def happenings() -> st.SearchStrategy[Act]:
    """What users do and what happens in the cluster; nothing goes wrong between us and the API server."""
    return st.one_of(
        of("until", *PLACES),
        of("wait", 5, 10, 30, 120, 700),
        of("wait", 5, 10, 30),
        of("serve", *VERSIONS),
        of("metrics", *TELLING),
        of("metrics", "pass", "fail", "harm"),
        of("gateway", "accepts", "slow", "silent", "refuses", "stale"),
        of("pods", *((version, way) for version in VERSIONS for way in ("up", "slow", "down"))),
        of("strategy", *STRATEGIES),
        of("deadline", None, "Hold", "Revert"),
        of("gates", *GATES),
        of("pause", True, False),
        of("replicas", 2, 1, 4),
        of("template", "example.com/agent:1", "example.com/agent:2", None),
        of("delete", *VERSIONS),
        of("create", *VERSIONS),
        of("tamper", *VERSIONS),
        of("route", "deleted", "half", "zero", "foreign"),
        of("children", "deleted", "scaled"),
        of("obstacle", "route", "service", "gateway"),
        of("clear"),
        of("on first failure", "KeepServing", "CloseRoute"),
        of("conversations", 0.0, 3.0, None),
        of("hostname", "triage.example.com", "agents.example.com"),
    )


def misfortunes() -> st.SearchStrategy[Act]:
    """What goes wrong between the operator and the API server, and Rollouts that lose what was known."""
    ways = ("crash before", "crash after", "refused", "answer lost", "overtaken")
    return st.one_of(
        of("fault", *((count, way) for way in ways for count in (1, 2, 3, 5))),
        of("restart"),
        of("late", "Rollout", "Deployment", "EndpointSlice", "HTTPRoute", "Release", "AgentVersion"),
        of("catch up"),
        of("ledger", "refuses", "records"),
        of("status", "refuses", "stores"),
        of("recreate", "background", "orphan"),
        of("forget"),
    )


def scripts(*, quiet: bool = False, chapters: int = 8) -> st.SearchStrategy[Script]:
    """A version is tried as far as some place, then a few things happen, and again; `quiet` scripts hold no
    misfortunes."""
    acts = happenings() if quiet else st.one_of(happenings(), happenings(), misfortunes())
    tried = st.tuples(st.sampled_from(VERSIONS[1:] + VERSIONS[:1]), st.sampled_from(PLACES))
    begun = tried.map(lambda how: Act("attempt", how))
    chapter = st.tuples(
        st.lists(of("metrics", *TELLING), max_size=1),
        st.lists(begun, max_size=1),
        st.lists(acts, max_size=5),
    )
    return st.lists(chapter, max_size=chapters).map(
        lambda found: [act for parts in found for part in parts for act in part]
    )
