"""The cluster around the operator: kubelet, gateway and metrics, which react when told to. One clock, no
chance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from interlock.adapters.memory import MemoryObjects
from interlock.analysis.gates import (
    EvidenceReport,
    GateReading,
    NoDataReading,
    Silence,
    SplitReading,
    Verdict,
)
from interlock.core import labels, plans
from interlock.core.observation import Unreadable
from interlock.model.base import format_time
from interlock.model.gate import Gate
from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import Attempt
from tests.scenarios.surroundings import GATEWAY, GATEWAY_CLASS, NAMESPACE, START, Manifest

T = TypeVar("T")
SLOW = 25.0
"""Seconds that slow pods and slow gateways take."""


CHILDREN = ("Deployment", "Service", "ConfigMap", "HTTPRoute")


def reached(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits, as those of the memory adapter."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("nothing here may wait")


class Surroundings:
    """Everything but users and operator. Each part reacts when it is called; none knows of the others."""

    def __init__(self) -> None:
        self.now: datetime = START
        self.objects = MemoryObjects()
        self.changes = 0
        for manifest in (GATEWAY_CLASS, GATEWAY):
            self.objects._create(manifest)
        self.pods: dict[str, str] = defaultdict(lambda: "up")
        """How the pods of a version do: up, slow or down."""
        self.gateway = "accepts"
        self.metrics = Metrics(self)
        self._born: dict[str, list[datetime]] = defaultdict(list)
        self._route_seen: dict[int, datetime] = {}

    def stored(self, kind: str) -> list[Manifest]:
        """Objects as they lie in the store: to be read only."""
        return [manifest for key, manifest in self.objects._objects.items() if key[0] == kind]

    @property
    def has_template(self) -> bool:
        """Does the Deployment that is cloned exist?"""
        return ("Deployment", NAMESPACE, "triage") in self.objects._objects

    def react(self) -> None:
        """What garbage collector, kubelet and gateway do at this moment."""
        self._collect()
        for deployment in self.stored("Deployment"):
            if labels.WORKLOAD in deployment["spec"]["template"]["metadata"]["labels"]:
                self._report(deployment)
        for service in self.stored("Service"):
            if labels.WORKLOAD in (service["spec"].get("selector") or {}):
                self._endpoints(service)
        for route in self.stored("HTTPRoute"):
            if labels.ROLLOUT in (route["metadata"].get("labels") or {}):
                self._judge(route)

    def _collect(self) -> None:
        """Delete what has an owner that is gone."""
        living = {manifest["metadata"]["uid"] for manifest in self.stored("Rollout")}
        for kind in CHILDREN:
            for manifest in self.stored(kind):
                meta = manifest["metadata"]
                owners = [owner for owner in meta.get("ownerReferences") or [] if owner["kind"] == "Rollout"]
                if owners and not any(owner["uid"] in living for owner in owners):
                    reached(self.objects.delete(kind, meta["namespace"], meta["name"], meta["uid"]))

    # ------------------------------------------------------------------ kubelet
    def _ready(self, deployment: Manifest) -> int:
        """Pods that are up: each some time after it was asked for."""
        meta, wanted = deployment["metadata"], deployment["spec"]["replicas"]
        born = self._born[meta["uid"]]
        born[:] = [*born, *[self.now] * (wanted - len(born))][:wanted]
        match self.pods[meta["labels"][labels.AGENT_VERSION]]:
            case "down":
                return 0
            case "slow":
                return sum((self.now - since).total_seconds() >= SLOW for since in born)
            case _:
                return int(wanted)

    def _report(self, deployment: Manifest) -> None:
        wanted, up = deployment["spec"]["replicas"], self._ready(deployment)
        told = deployment.get("status") or {}
        before = (told.get("conditions") or [{}])[0]
        said = "True" if up >= wanted else "False"
        since = before["lastTransitionTime"] if before.get("status") == said else format_time(self.now)
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": wanted,
            "updatedReplicas": wanted,
            "availableReplicas": up,
            "conditions": [{"type": "Available", "status": said, "lastTransitionTime": since}],
        }
        if told != status:
            reached(self.objects.replace_status({**deployment, "status": status}))

    def _endpoints(self, service: Manifest) -> None:
        meta = service["metadata"]
        deployment = self.objects._objects.get(("Deployment", meta["namespace"], meta["name"]))
        up = self._ready(deployment) if deployment else 0
        known = self.objects._objects.get(("EndpointSlice", meta["namespace"], f"{meta['name']}-x"))
        if known is not None and len(known["endpoints"]) == up:
            return
        named = {
            "name": f"{meta['name']}-x",
            "namespace": meta["namespace"],
            "labels": {**meta["labels"], "kubernetes.io/service-name": meta["name"]},
        }
        ends = [{"addresses": [f"10.0.0.{i + 1}"], "conditions": {"ready": True}} for i in range(up)]
        api = "discovery.k8s.io/v1"
        reached(
            self.objects.apply(
                {"apiVersion": api, "kind": "EndpointSlice", "metadata": named, "endpoints": ends}
            )
        )

    # ------------------------------------------------------------------ gateway
    def _judge(self, route: Manifest) -> None:
        """Say what the gateway says of a route; silent it says nothing, stale it speaks of an earlier one."""
        generation = route["metadata"]["generation"]
        seen = self._route_seen.setdefault(int(route["metadata"]["resourceVersion"]), self.now)
        waits = self.gateway == "slow" and (self.now - seen).total_seconds() < SLOW
        told = (route.get("status") or {}).get("observed")
        if self.gateway == "silent" or (waits and told != generation):
            return
        said = "False" if self.gateway == "refuses" else "True"
        conditions = [
            {
                "type": kind,
                "status": said,
                "reason": kind if said == "True" else "NoMatchingListener",
                "observedGeneration": generation - (self.gateway == "stale"),
            }
            for kind in ("Accepted", "ResolvedRefs")
        ]
        parents = [{"parentRef": ref, "conditions": conditions} for ref in route["spec"]["parentRefs"]]
        if (route.get("status") or {}).get("parents") != parents:
            status = {"parents": parents, "observed": generation}
            reached(self.objects.replace_status({**route, "status": status}))


class Metrics:
    """What the evidence of an attempt says. As that of the analysis, what it once said against the
    candidate stays, until the gate is edited."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self.says = "pass"
        self.since: datetime = START
        self.suspected: set[str] = set()
        """Digests that something was once said against."""
        self._failed: set[tuple[str, int, str, str]] = set()
        self._merged: set[tuple[str, int, object]] = set()

    def turn(self, says: str) -> None:
        """From now on they say this."""
        self.says, self.since = says, self._around.now

    def firing(self, rollout: Rollout) -> str:
        """The alert that fires while an attempt is prepared."""
        attempt = rollout.status.attempt
        prepared = attempt is not None and attempt.stage is Stage.PREPARING and rollout.status.stable
        heeded = prepared and plans.has_alerts(rollout)
        return "alert Page fires since 12:00:00 UTC" if heeded and self.says == "alert" else ""

    def report(self, rollout: Rollout) -> EvidenceReport | Unreadable | None:
        """As the analysis would report; None where nothing is measured."""
        attempt, tested = rollout.status.attempt, rollout.status.candidate
        if attempt is None or tested is None or attempt.traffic_started_time is None:
            return None
        if attempt.stage not in (Stage.RUNNING, Stage.SOAKING):
            return None
        if self.says == "unreadable":
            return Unreadable("connection refused")
        gates = tuple(self._reading(rollout, attempt, gate) for gate in rollout.spec.analysis.gates)
        merged = (rollout.metadata.uid, attempt.number, attempt.gate_starts)
        if self.says == "combined" and gates:
            self._merged.add(merged)
        failed = tuple(gate.name for gate in gates if gate.verdict is Verdict.FAIL)
        if failed or merged in self._merged:
            self.suspected.add(tested.digest)
        told = self._facts(gates, failed, combined=not failed and merged in self._merged)
        return replace(told, split=self._split(attempt))

    def _split(self, attempt: Attempt) -> SplitReading:
        wrong = self.says == "wrong split"
        text = "the candidate got 15.0 % of 1,000 tasks instead of 10 %" if wrong else ""
        return SplitReading(attempt.step_index, 9.8 if wrong else -1.0, text)

    def _reading(self, rollout: Rollout, attempt: Attempt, gate: Gate) -> GateReading:
        rules = plans.gate_hash(rollout, gate)
        try:
            safety = plans.plan_gate(gate).safety
        except (KeyError, ValueError):
            safety = False
        known = any(start.hash == rules for start in attempt.gate_starts)
        latched = (rollout.metadata.uid, attempt.number, gate.name, rules)
        kind = "alert" if gate.alert else "harm" if safety else "fail"
        if known and self.says == kind:
            self._failed.add(latched)
        if latched in self._failed:
            verdict = Verdict.FAIL
        elif not known or self.says == "inconclusive":
            verdict = Verdict.INCONCLUSIVE
        else:
            verdict = Verdict.NO_DATA if self.says == "no data" else Verdict.PASS
        blind = self.since.timestamp() if verdict is Verdict.NO_DATA else None
        return GateReading(
            gate.name, verdict, 0.0, "1:5", "0.9 (n=90)", "", "said so", safety, blind_since=blind
        )

    def _facts(
        self, gates: tuple[GateReading, ...], failed: tuple[str, ...], *, combined: bool
    ) -> EvidenceReport:
        now, says = self._around.now.timestamp(), self.says
        few, blind = says in ("few tasks", "idle", "starved", "blind"), says == "blind"
        silences = {"idle": Silence.IDLE, "starved": Silence.STARVED, "blind": Silence.BLIND}
        quiet = silences.get(says)
        return EvidenceReport(
            gates=gates,
            failed=failed,
            combined=combined,
            combined_log_evidence=0.0,
            threshold=3.0,
            candidate_tasks=0 if few else 1000,
            stable_tasks=0 if says == "idle" else 1000,
            candidate_started=0 if few else 1000,
            stable_started=0 if says == "idle" else 1000,
            last_sample=None if blind else now - (500 if says == "stale" else 1),
            warmed_up=says != "cold",
            warnings=(),
            no_data=NoDataReading(quiet, self.since.timestamp()) if quiet else None,
        )


__all__ = ["NAMESPACE", "Manifest", "Metrics", "Surroundings", "reached"]
