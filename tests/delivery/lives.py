"""Statuses in the life of a Rollout, one after the other as the operator would write them.

The Rollout is that of `objects.rollout()`: a shadow of 20 %, canaries of 5 and 50 %, then full. v1 serves,
and the second attempt tries v2.
"""

from __future__ import annotations

from typing import Any

from tests.delivery.api import Api
from tests.delivery.objects import NOW, Manifest, attempt, rollout


def version(name: str) -> Manifest:
    """Who a version is in a status."""
    digest = (name.encode().hex() * 64)[:64]
    return {"version": name, "uid": f"uid-{name}", "digest": digest, "workload": f"triage-{digest[:10]}"}


def stable(name: str) -> Manifest:
    """A version that is trusted."""
    return version(name) | {"since": NOW}


def shares(of_stable: int, of_candidate: int = 0, shadow: int = 0, **more: int) -> Manifest:
    """`status.traffic`."""
    return {"stablePercent": of_stable, "candidatePercent": of_candidate, "shadowPercent": shadow, **more}


def quarantined(*digits: str) -> list[Manifest]:
    """Content that was taken back, named by one hex digit each."""
    told = {"version": "v0", "attempt": 1, "reason": "GateFailed", "time": NOW}
    return [told | {"digest": digit * 64} for digit in digits]


def draining(*workloads: str) -> list[Manifest]:
    """Workloads whose conversations come to an end."""
    told = {"version": "v0", "release": "triage-0a1b2c-1", "since": NOW, "deadline": NOW}
    return [told | {"workload": workload} for workload in workloads]


def trying(seq: int, stage: str, index: int, traffic: Manifest, **more: Any) -> Manifest:
    """The second attempt at one place."""
    told = attempt(2, seq, stage=stage, stepIndex=index, **more)
    return {"stable": stable("v1"), "candidate": version("v2"), "attempt": told, "traffic": traffic}


FIRST: Manifest = {"candidate": version("v1"), "attempt": attempt(), "traffic": shares(0, 100)}
SERVING: Manifest = {
    "stable": stable("v1"),
    "attempt": attempt(1, 2, stage="Done", outcome="Promoted"),
    "traffic": shares(100),
}
LIFE: dict[str, Manifest] = {
    "first": FIRST,
    "serving": SERVING,
    "preparing": trying(1, "Preparing", 0, shares(100)),
    "shadow": trying(2, "Running", 0, shares(100, shadow=20)),
    "canary": trying(3, "Running", 1, shares(95, 5)),
    "half": trying(4, "Running", 2, shares(50, 50)),
    "soaking": trying(5, "Soaking", 3, shares(0, 100)),
    "promoted": {
        "stable": stable("v2"),
        "attempt": attempt(2, 6, stage="Done", stepIndex=3, outcome="Promoted"),
        "traffic": shares(100),
    },
}
"""By name, in order."""
ACTIVE = ("preparing", "shadow", "canary", "half", "soaking")


def moved(place: str, **changes: Any) -> Manifest:
    """The status at a place, with its `seq` one higher; `changes` are for the attempt."""
    status = LIFE[place]
    told = status["attempt"] | {"seq": status["attempt"]["seq"] + 1} | changes
    return status | {"attempt": told}


def reverting(place: str) -> Manifest:
    """Turned back from there: everything to stable."""
    return moved(place, stage="Reverting") | {"traffic": shares(100)}


def reverted(place: str) -> Manifest:
    """And come to rest."""
    turned = reverting(place)
    told = turned["attempt"]
    return turned | {"attempt": told | {"seq": told["seq"] + 1, "stage": "Done", "outcome": "Reverted"}}


class Life:
    """One Rollout on the API server, whose status is written as the operator."""

    def __init__(self, api: Api, spec: Manifest | None = None) -> None:
        manifest = rollout()
        self._operator = api.as_operator()
        self.stored = api.create(manifest | {"spec": manifest["spec"] | (spec or {})}).body

    def write(self, status: Any) -> str:
        """The refusal, empty where there is none."""
        answer = self._operator.replace({**self.stored, "status": status}, sub="status")
        if answer.ok:
            self.stored = answer.body
        return "" if answer.ok else answer.message

    def live(self, *statuses: Manifest) -> Life:
        """All of these follow one another."""
        for status in statuses:
            refusal = self.write(status)
            assert not refusal, refusal
        return self

    def until(self, place: str) -> Life:
        """Everything up to a place of `LIFE`."""
        names = list(LIFE)
        return self.live(*(LIFE[name] for name in names[: names.index(place) + 1]))
