"""One namespace in which a Rollout lives, told in the domain's words."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import yaml

from interlock.core import labels
from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from tests.cluster import objects
from tests.cluster.agents import Behaviour, Pod
from tests.cluster.api import EVENTS, GATEWAY, INTERLOCK, Manifest, core, grouped
from tests.cluster.landscape import Landscape
from tests.cluster.waiting import until
from tests.cluster.witness import Seen
from tests.scenarios.rules import backends

Wanted = Callable[[Rollout], bool]
PATIENCE = 40.0
"""Seconds that a stage may take on a machine that is busy with other things."""


class Story:
    """What a user does and sees; all of it through the API server."""

    def __init__(self, landscape: Landscape, namespace: str) -> None:
        self.land = landscape
        self.namespace = namespace
        self.git: dict[tuple[str, str], Manifest] = {}
        """What is in Git: the last manifest applied, by kind and name."""

    # ------------------------------------------------------------------ users
    async def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """What kubectl prints, in this namespace."""
        done = await self._kubectl(*arguments, stdin=stdin)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    async def said(self, *arguments: str, stdin: str | None = None) -> str:
        """All that kubectl says, whether or not it was taken."""
        done = await self._kubectl(*arguments, stdin=stdin)
        return done.stdout + done.stderr

    async def refused(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl says of something that is not taken."""
        done = await self._kubectl(*arguments, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr

    async def _kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        command = ("-n", self.namespace, *arguments)
        return await asyncio.to_thread(self.land.cluster.kubectl, *command, stdin=stdin, check=False)

    async def apply(self, *manifests: Manifest) -> None:
        """kubectl apply -f, as a GitOps pipeline would."""
        self.git |= {(m["kind"], m["metadata"]["name"]): m for m in manifests}
        await self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))

    async def begin(self, version: str, template: Manifest | None = None, **changes: Any) -> None:
        """A template, a version and a Rollout are applied."""
        wanted = objects.rollout(version, f"{self.namespace}.example.com", **changes)
        await self.apply(template or objects.template(), objects.agent_version(version), wanted)

    async def first_version(self, **changes: Any) -> None:
        """v1 is applied and serves."""
        await self.begin("v1", **changes)
        await self.until(healthy("v1"))

    async def sync(self) -> None:
        """All of Git is applied once more."""
        await self.apply(*self.git.values())

    async def release(self, version: str) -> None:
        """A new AgentVersion, and the one line that a release changes."""
        await self.apply(objects.agent_version(version), self._with(versionRef={"name": version}))

    async def edit(self, **changes: Any) -> None:
        """Other fields of the Rollout's spec, in Git."""
        await self.apply(self._with(**changes))

    async def go_to(self, version: str) -> None:
        """The one line alone: the version exists, or does not."""
        await self.edit(versionRef={"name": version})

    def _with(self, **changes: Any) -> Manifest:
        manifest = self.git["Rollout", objects.NAME]
        return {**manifest, "spec": manifest["spec"] | changes}

    async def pause(self, *, on: bool = True) -> None:
        """By hand and at once, beside Git."""
        path = grouped(INTERLOCK, self.namespace, "rollouts", objects.NAME)
        await self.land.api.patch(path, {"spec": {"paused": on}})

    async def diff(self) -> str:
        """kubectl diff of everything in Git: empty when the cluster is as Git says."""
        text = yaml.safe_dump_all(self.git.values())
        done = await self._kubectl("diff", "-f", "-", stdin=text)
        assert done.returncode in (0, 1), done.stderr
        return done.stdout

    def behaves(self, version: str, **how: Any) -> None:
        """From now on."""
        known = self.land.agents.behaviour[self.namespace, version]
        self.land.agents.behaviour[self.namespace, version] = Behaviour(**(vars(known) | how))

    def traffic(self, rate: float) -> None:
        """Requests a second from now on."""
        self.land.agents.rate[self.namespace] = rate

    async def scale(self, replicas: int) -> None:
        """kubectl scale, as an autoscaler would."""
        await self.kubectl("scale", f"rollouts.interlock.dev/{objects.NAME}", f"--replicas={replicas}")

    async def delete_pod(self, pod: Pod) -> None:
        """kubectl delete pod; its ReplicaSet makes another."""
        await self.land.api.delete(core(self.namespace, "pods", pod.name))

    # ------------------------------------------------------------------ what is seen
    async def manifest(self) -> Manifest:
        """The Rollout as stored."""
        found = await self.land.api.get(grouped(INTERLOCK, self.namespace, "rollouts", objects.NAME))
        assert found is not None
        return found

    async def rollout(self) -> Rollout:
        """The Rollout as stored."""
        return Rollout.read(await self.manifest())

    async def route(self) -> Manifest:
        """The HTTPRoute as stored."""
        found = await self.land.api.get(self.route_path)
        assert found is not None
        return found

    @property
    def route_path(self) -> str:
        return grouped(GATEWAY, self.namespace, "httproutes", objects.NAME)

    async def candidate(self) -> str:
        """The workload under test."""
        found = (await self.rollout()).status.candidate
        assert found is not None
        return found.workload

    async def pods(self, workload: str) -> list[Pod]:
        """Its pods, as the agents know them."""
        return self.land.agents.of(self.namespace, workload)

    async def all(self, kind: str) -> list[Manifest]:
        """All objects of a kind in the namespace."""
        path = {
            "Deployment": grouped("apps/v1", self.namespace, "deployments"),
            "Service": core(self.namespace, "services"),
            "ConfigMap": core(self.namespace, "configmaps"),
            "Release": grouped(INTERLOCK, self.namespace, "releases"),
            "Rollout": grouped(INTERLOCK, self.namespace, "rollouts"),
            "AgentVersion": grouped(INTERLOCK, self.namespace, "agentversions"),
            "HTTPRoute": grouped(GATEWAY, self.namespace, "httproutes"),
            "Event": grouped(EVENTS, self.namespace, "events"),
        }[kind]
        return await self.land.api.items(path)

    async def condition(self, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a condition; empty strings when it is absent."""
        return condition(await self.rollout(), kind)

    async def entries(self, attempt: int) -> list[Manifest]:
        """What the record of one attempt holds."""
        releases = await self.all("Release")
        return [e for r in releases if r["header"]["attempt"] == attempt for e in r["entries"]]

    async def recorded(self, attempt: int, *reasons: str) -> None:
        """The record says why the attempt moved, move by move: exactly this. It follows status and route."""
        found: list[str] = []

        async def says_so() -> bool:
            found[:] = [entry["reason"] for entry in await self.entries(attempt)]
            return tuple(found) == reasons

        await until(says_so, 10, f"{reasons} to be recorded of attempt {attempt}", lambda: str(found))

    async def row(self) -> dict[str, str]:
        """What `kubectl get rollout` shows, by column; without the age."""
        head, row = (line.split() for line in (await self.kubectl("get", "rollout")).splitlines())
        return {title: cell for title, cell in zip(head, row, strict=True) if title != "AGE"}

    async def stable(self) -> str:
        """The workload that is trusted."""
        found = (await self.rollout()).status.stable
        assert found is not None
        return found.workload

    async def only_serves(self, version: str) -> None:
        """Nothing but this version is left, and it gets everything."""

        async def alone() -> bool:
            kinds = ("Deployment", "Service", "ConfigMap")
            left = [(await self.all(kind)) for kind in kinds]
            ours = [m for found in left for m in found if made_to_serve(m)]
            return {m["metadata"]["name"] for m in ours} == {await self.stable()}

        await until(alone, PATIENCE, f"all but {version} to be gone")
        found = (await self.rollout()).status.stable
        assert found is not None
        assert found.version == version
        assert self.weights() == {found.workload: 100}

    async def only_serves_after(self, wanted: Wanted) -> None:
        """It comes to that, and all that is not needed any more goes away."""
        found = await self.until(wanted, 60)
        assert found.status.stable is not None
        await self.only_serves(found.status.stable.version)
        await self.until(lambda r: not r.status.draining)

    async def versions(self) -> dict[str, str]:
        """resourceVersion of every object that the operator may write."""
        kinds = (
            "AgentVersion",
            "Rollout",
            "Release",
            "Event",
            "HTTPRoute",
            "Deployment",
            "Service",
            "ConfigMap",
        )
        found = [m for kind in kinds for m in await self.all(kind)]
        return {f"{m['kind']}/{m['metadata']['name']}": m["metadata"]["resourceVersion"] for m in found}

    # ------------------------------------------------------------------ what has been seen
    def weights(self) -> dict[str, int]:
        """Weights of the route by Service, as last seen."""
        (route,) = self.land.witness.now(self.namespace, "HTTPRoute")
        return backends(route)[0]

    def splits(self) -> list[dict[str, int]]:
        """Weights that the route had, one after the other; each only once in a row."""
        found: list[dict[str, int]] = []
        for seen in self.land.witness.history(self.namespace, "HTTPRoute"):
            if [backends(seen.manifest)[0]] != found[-1:]:
                found.append(backends(seen.manifest)[0])
        return found

    def moment(self, stage: Stage) -> Seen:
        """When the newest attempt came to a stage."""
        history = self.land.witness.history(self.namespace, "Rollout")
        return next(seen for seen in history if _stage(seen) is stage)

    def first_route_at_zero(self) -> Seen:
        """When the route first gave a candidate an explicit weight of 0."""
        history = self.land.witness.history(self.namespace, "HTTPRoute")
        return next(seen for seen in history if 0 in backends(seen.manifest)[0].values())

    def writes_between(self, first: Seen, last: Seen) -> int:
        """Writes of Rollout, Release and Event between two versions."""
        kinds = ("Rollout", "Release", "Event")
        histories = (self.land.witness.history(self.namespace, kind) for kind in kinds)
        return sum(first.version < seen.version < last.version for seen in itertools.chain(*histories))

    def accepted_at(self) -> datetime:
        """When the gateway accepted the route as it is now; whole seconds."""
        (route,) = self.land.witness.now(self.namespace, "HTTPRoute")
        (said,) = [c for p in route["status"]["parents"] for c in p["conditions"] if c["type"] == "Accepted"]
        assert (said["status"], said["observedGeneration"]) == ("True", route["metadata"]["generation"])
        return datetime.fromisoformat(said["lastTransitionTime"])

    async def told(self) -> list[str]:
        """Reasons of the operator's Events, oldest first."""
        ours = "interlock.dev/operator"  # others' need not say whose they are
        events = [e for e in await self.all("Event") if e.get("reportingController") == ours]
        return [e["reason"] for e in sorted(events, key=lambda e: str(e["eventTime"]))]

    # ------------------------------------------------------------------ waiting
    async def until(self, wanted: Wanted, within: float = PATIENCE) -> Rollout:
        """Wait until `wanted(rollout)`."""

        async def holds() -> bool:
            return wanted(await self.rollout())

        await until(holds, within, f"{wanted.__qualname__} in {self.namespace}")
        return await self.rollout()

    async def holds(self, wanted: Wanted, seconds: float) -> None:
        """`wanted(rollout)` is true now and stays so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = await self.rollout()
            assert wanted(found), json.dumps(found.status.to_wire(), indent=1)
            await asyncio.sleep(0.1)

    async def scraped(self, times: int) -> None:
        """Prometheus has scraped so often from now on."""
        wanted = self.land.agents.scrapes + times

        async def often_enough() -> bool:
            return self.land.agents.scrapes >= wanted

        await until(often_enough, 5.0 + 3 * times, f"{times} scrapes")

    async def until_pods(self, workload: str, wanted: Callable[[list[Pod]], bool]) -> None:
        """Wait until the pods of a workload are as wanted."""

        async def holds() -> bool:
            return wanted(await self.pods(workload))

        await until(holds, PATIENCE, f"other pods of {workload}")

    async def diagnosis(self) -> str:
        """For a failed test: the Rollout's status, the events, and the operator's last words."""
        found = await self.all("Rollout")
        shown = [yaml.safe_dump(m.get("status"), sort_keys=False) for m in found]
        events = [f"{e['type']} {e['reason']}: {e.get('note')}" for e in await self.all("Event")]
        routes = [json.dumps(m["spec"]["rules"]) for m in await self.all("HTTPRoute")]
        parts = {
            "status": shown,
            "route": routes,
            "events": events,
            "operator": [self.land.operator_log()],
        }
        return "\n".join(f"--- {name}\n" + "\n".join(lines) for name, lines in parts.items())


def _stage(seen: Seen) -> Stage | None:
    attempt = Rollout.read(seen.manifest).status.attempt
    return attempt.stage if attempt else None


def made_to_serve(manifest: Manifest) -> bool:
    """Did the operator make it for a version, not to remember something?"""
    marks = manifest["metadata"].get("labels") or {}
    return labels.ROLLOUT in marks and labels.EVIDENCE not in marks


def condition(found: Rollout, kind: str) -> tuple[str, str, str]:
    """Status, reason and message of a condition; empty strings when it is absent."""
    for one in found.status.conditions:
        if one.type == kind:
            return one.status.value, one.reason, one.message
    return "", "", ""


def healthy(version: str) -> Wanted:
    """It is stable, serves, and nothing else is left running."""

    def is_healthy(found: Rollout) -> bool:
        stable = found.status.stable
        serves = stable is not None and stable.version == version
        return found.status.phase == "Healthy" and serves and not found.status.draining

    return is_healthy


def phase(*names: str) -> Wanted:
    """The word in the STATUS column is one of these."""

    def is_in_phase(found: Rollout) -> bool:
        return found.status.phase in names

    return is_in_phase


def clock_runs(step: str) -> Wanted:
    """The named step's clock has started."""

    def clock_of_step_runs(found: Rollout) -> bool:
        attempt = found.status.attempt
        if attempt is None or attempt.step_started_time is None:
            return False
        return found.spec.strategy.steps[attempt.step_index].name == step

    return clock_of_step_runs


def measured(gate: str) -> Wanted:
    """The gate has seen outcomes of the candidate."""

    def gate_has_data(found: Rollout) -> bool:
        return any(g.name == gate and g.verdict == "Pass" for g in found.status.gates)

    return gate_has_data
