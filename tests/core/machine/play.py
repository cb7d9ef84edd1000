"""Plays a script: each act is done, then operator and cluster react until nothing changes any more."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from interlock.model.rollout import Rollout
from tests.core.machine.acts import GATES, STRATEGIES, VERSIONS, Act, Script
from tests.core.machine.judge import Judge
from tests.core.machine.process import KEY, TICK, Crash, Faults, Process
from tests.core.machine.surroundings import CHILDREN, NAMESPACE, Manifest, Surroundings, reached
from tests.scenarios.objects import agent_version, rollout, template
from tests.scenarios.surroundings import GATEWAY

ROUNDS = 60
"""Passes within one instant that are still no livelock."""
GATEWAY_NAME = ("Gateway", "gateways", "public")
OLDER_ROUTE: Manifest = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": "older", "namespace": "before-shop"},
    "spec": {
        "parentRefs": [{"name": "public", "namespace": "gateways"}],
        "hostnames": ["triage.example.com"],
        "rules": [{"backendRefs": [{"name": "other", "port": 80}]}],
    },
}
"""Of the same age, and first in the alphabet: the gateway gives it the requests."""
LEAKING_SERVICE: Manifest = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "leaking", "namespace": NAMESPACE},
    "spec": {"selector": {"team": "support"}},
}


def beginning(version: str = "v1") -> Manifest:
    """The Rollout as it is created."""
    return rollout(
        version,
        strategy={"steps": STRATEGIES["shadow, canary, full"]},
        analysis={
            "gates": GATES["all"],
            "noData": {"holdAfterSeconds": 15, "revertAfterSeconds": 40},
        },
        onRevert={"drainDeadlineSeconds": 20},
    )


def user_template(image: str = "example.com/agent:1") -> Manifest:
    """The Deployment that is cloned; its pods may take a minute."""
    made = template(image)
    made["spec"]["progressDeadlineSeconds"] = 60
    return made


class Play:
    """One world and what happens in it. `prompt`: a fresh process knows the evidence at once; `crash`: the
    number of a write and the moment, before or after it, at which the process dies."""

    def __init__(self, *, prompt: bool = False, crash: tuple[int, str] | None = None) -> None:
        self.around = Surroundings()
        self.judge = Judge(self.around)
        self.faults = Faults(touch=self._touch, crash=crash)
        self.conversations: dict[str, float | None] = {"all": 0.0}
        self._prompt = prompt
        self._contents = itertools.count(1)
        self._touched = itertools.count(1)
        self.wiped = False
        """Somebody took away what the status knew."""
        for manifest in (user_template(), *map(agent_version, VERSIONS), beginning()):
            self._apply(manifest)
        self.process = self._begun()
        self.settle()

    def _begun(self) -> Process:
        process = Process(self.around, self.faults, self.judge, self.conversations, prompt=self._prompt)
        self.around.objects.listeners[:] = [process.hear, self._count]
        self.process = process
        return process

    def _count(self, event: str, manifest: Manifest) -> None:
        self.around.changes += 1

    # ------------------------------------------------------------------ time
    def settle(self) -> None:
        """Operator, kubelet and gateway react until nothing happens any more at this instant."""
        for _ in range(ROUNDS):
            before = self.around.changes
            worked = self._turn()
            self.process.catch_up()
            self.around.react()
            self.process.catch_up()
            if not (worked or self.process.is_due) and self.around.changes == before:
                return
        raise AssertionError("the operator does not come to rest within one instant")

    def _turn(self) -> bool:
        try:
            return self.process.turn()
        except Crash:
            self._begun()
            return True

    def tick(self, stride: timedelta = TICK) -> None:
        """Time passes; metrics are read; everybody reacts."""
        self.around.now += stride
        self.process.tick()
        self.settle()

    def rollout(self) -> Rollout:
        """As stored."""
        return Rollout.read(self.around.objects._objects[KEY])

    # ------------------------------------------------------------------ acts
    def play(self, script: Script) -> None:
        """All acts, in order."""
        for act in script:
            self.do(act)

    def do(self, act: Act) -> None:
        """One act, and what follows from it at once."""
        getattr(self, "_do_" + act.name.replace(" ", "_"))(*([] if act.value is None else [act.value]))
        self.settle()

    def _do_wait(self, seconds: int) -> None:
        ticks = max(1, min(12, seconds // 5))
        for _ in range(ticks):
            self.tick(timedelta(seconds=seconds / ticks))

    def _do_until(self, place: str) -> None:
        """Until the attempt is there, or for two minutes."""
        for _ in range(24):
            attempt = self.rollout().status.attempt
            where = f"{attempt.stage.value} {attempt.step_index}" if attempt else ""
            if where.startswith(place):
                return
            self.tick()

    def _do_attempt(self, how: tuple[str, str]) -> None:
        self._do_serve(how[0])
        self.settle()
        self._do_until(how[1])

    def _do_serve(self, version: str) -> None:
        self._edit(lambda spec: spec["versionRef"].update(name=version))

    def _do_strategy(self, name: str) -> None:
        self._edit(lambda spec: spec["strategy"].update(steps=STRATEGIES[name]))

    def _do_deadline(self, then: str = "") -> None:
        after = {"stepDeadlineSeconds": 60, "onDeadline": then} if then else {}
        self._edit(lambda spec: spec.update(strategy={"steps": spec["strategy"]["steps"]} | after))

    def _do_gates(self, name: str) -> None:
        self._edit(lambda spec: spec["analysis"].update(gates=GATES[name]))

    def _do_pause(self, paused: bool) -> None:
        self._edit(lambda spec: spec.update(paused=paused))

    def _do_replicas(self, count: int) -> None:
        self._edit(lambda spec: spec.update(replicas=count))

    def _do_on_first_failure(self, policy: str) -> None:
        self._edit(lambda spec: spec.update(onFirstVersionFailure=policy))

    def _do_hostname(self, host: str) -> None:
        self._edit(lambda spec: spec["traffic"]["gatewayAPI"].update(hostnames=[host]))

    def _edit(self, change: Callable[[Manifest], Any]) -> None:
        manifest = reached(self.around.objects.get(*KEY))
        assert manifest is not None
        change(manifest["spec"])
        reached(self.around.objects.replace(manifest))

    # ------------------------------------------------------------------ versions and template
    def _do_create(self, version: str) -> None:
        if ("AgentVersion", NAMESPACE, version) not in self.around.objects._objects:
            self._apply(agent_version(version))

    def _do_delete(self, version: str) -> None:
        self._remove("AgentVersion", NAMESPACE, version)

    def _do_tamper(self, version: str) -> None:
        """An admin who can changes what a version says."""
        manifest = reached(self.around.objects.get("AgentVersion", NAMESPACE, version))
        if manifest is not None:
            manifest["spec"]["parameters"] = {"temperature": next(self._contents)}
            reached(self.around.objects.replace(manifest))

    def _do_template(self, image: str = "") -> None:
        if image:
            self._apply(user_template(image))
        else:
            self._remove("Deployment", NAMESPACE, "triage")

    # ------------------------------------------------------------------ cluster
    def _do_metrics(self, says: str) -> None:
        self.around.metrics.turn(says)

    def _do_gateway(self, way: str) -> None:
        self.around.gateway = way

    def _do_pods(self, how: tuple[str, str]) -> None:
        self.around.pods[how[0]] = how[1]

    def _do_conversations(self, count: float | None = None) -> None:
        self.conversations["all"] = count

    def _do_route(self, way: str) -> None:
        """Somebody edits or deletes our route by hand."""
        manifest = reached(self.around.objects.get("HTTPRoute", NAMESPACE, "triage"))
        if manifest is None:
            return
        owner = (manifest["metadata"].get("ownerReferences") or [{}])[0]
        backends = manifest["spec"]["rules"][0]["backendRefs"]
        tested = self.rollout().status.candidate
        match way:
            case "deleted":
                self._remove("HTTPRoute", NAMESPACE, "triage")
                return
            case "half":
                for backend in backends:
                    backend["weight"] = 50
            case "zero" if tested is not None and backends:
                backends[:] = [
                    {**backends[0], "weight": 100},
                    {**backends[0], "name": tested.workload, "weight": 0},
                ]
                self.around.metrics.suspected.add(tested.digest)
            case "ours" if owner.get("kind") == "Other":
                self._remove("HTTPRoute", NAMESPACE, "triage")
                return
            case "foreign":
                manifest["metadata"]["ownerReferences"] = [{"kind": "Other", "name": "other", "uid": "else"}]
        reached(self.around.objects.replace(manifest))

    def _do_children(self, way: str) -> None:
        """Somebody deletes or scales our Deployments by hand."""
        for deployment in self.around.stored("Deployment"):
            if not deployment["metadata"].get("ownerReferences"):
                continue
            if way == "deleted":
                self._remove("Deployment", NAMESPACE, deployment["metadata"]["name"])
            else:
                edited = copy.deepcopy(deployment)
                edited["spec"]["replicas"] += 1
                reached(self.around.objects.replace(edited))

    def _do_obstacle(self, what: str) -> None:
        """Somebody else's object gets in the way."""
        match what:
            case "route":
                self._apply(OLDER_ROUTE)
            case "service":
                self._apply(LEAKING_SERVICE)
            case "gateway":
                self._remove(*GATEWAY_NAME)

    def _do_clear(self) -> None:
        """Nothing is in the way any more."""
        for manifest in (OLDER_ROUTE, LEAKING_SERVICE):
            self._remove(manifest["kind"], manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        if GATEWAY_NAME not in self.around.objects._objects:
            self._apply(GATEWAY)

    # ------------------------------------------------------------------ misfortunes
    def _do_fault(self, what: tuple[int, str]) -> None:
        count, way = what
        self.faults.planned[self.faults.writes + count] = way

    def _do_restart(self) -> None:
        self._begun()

    def _do_late(self, kind: str) -> None:
        self.process.late.add(kind)

    def _do_catch_up(self) -> None:
        self.process.late.clear()

    def _do_ledger(self, way: str) -> None:
        (self.faults.refuses.add if way == "refuses" else self.faults.refuses.discard)("Release")

    def _do_status(self, way: str) -> None:
        (self.faults.refuses.add if way == "refuses" else self.faults.refuses.discard)("Rollout")

    def _do_recreate(self, cascade: str) -> None:
        """kubectl delete rollout --cascade=…; the same manifest is applied again."""
        old = reached(self.around.objects.get(*KEY))
        assert old is not None
        for kind in CHILDREN if cascade == "orphan" else ():
            for manifest in list(self.around.stored(kind)):
                owners = manifest["metadata"].get("ownerReferences") or []
                if any(owner["uid"] == old["metadata"]["uid"] for owner in owners):
                    freed = copy.deepcopy(manifest)
                    del freed["metadata"]["ownerReferences"]
                    reached(self.around.objects.replace(freed))
        self._remove(*KEY)
        self.around.react()
        self.wiped = True
        meta = {key: old["metadata"][key] for key in ("name", "namespace")}
        self._apply(
            {"apiVersion": old["apiVersion"], "kind": "Rollout", "metadata": meta, "spec": old["spec"]}
        )

    def _do_forget(self) -> None:
        """The Rollout is restored from a backup that has no status."""
        manifest = reached(self.around.objects.get(*KEY))
        assert manifest is not None
        self.wiped = True
        reached(self.around.objects.replace_status({**manifest, "status": {}}))

    def _touch(self) -> None:
        """Somebody annotates the Rollout and its route while the operator is at it."""
        for kind in ("Rollout", "HTTPRoute"):
            manifest = reached(self.around.objects.get(kind, NAMESPACE, "triage"))
            if manifest is not None:
                manifest["metadata"]["annotations"] = {"touched": str(next(self._touched))}
                reached(self.around.objects.replace(manifest))

    # ------------------------------------------------------------------ store
    def _apply(self, manifest: Manifest) -> None:
        reached(self.around.objects.apply(manifest))

    def _remove(self, kind: str, namespace: str, name: str) -> None:
        found = self.around.objects._objects.get((kind, namespace, name))
        if found is not None:
            reached(self.around.objects.delete(kind, namespace, name, found["metadata"]["uid"]))
