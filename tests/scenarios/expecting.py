"""Compares what a story expects with what is there; every difference is a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from interlock.core.parts import mapping, mappings
from interlock.core.workloads import shadow_name
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import RolloutStatus
from tests.scenarios.rules import backends
from tests.scenarios.story import Came, Condition, Expect, Writes
from tests.scenarios.surroundings import NAMESPACE, home
from tests.scenarios.world import World

Manifest = dict[str, Any]
Looked = tuple[str, Any]
"""What was looked at, and what was found where it is not as expected; None where it is."""


@dataclass
class Counted:
    """Where the story began to count, and what users have applied."""

    writes: int = 0
    queries: int = 0
    tasks: Counter[str] = field(default_factory=Counter)
    theirs: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    """Kind and name: spec, labels and annotations as their owner left them."""


def roles(status: RolloutStatus) -> dict[str, str]:
    """What each workload is for at the moment."""
    found: dict[str, str] = {}
    if status.candidate is not None:
        found[status.candidate.workload] = "candidate"
        found[shadow_name(status.candidate.workload)] = "shadow"
    if status.stable is not None:
        found[status.stable.workload] = "stable"
        found[shadow_name(status.stable.workload)] = "control"
    return found


async def differences(world: World, expect: Expect, counted: Counted) -> list[str]:
    """All that is not as expected; empty when everything is."""
    found = await _read(world, expect.of)
    looks: list[Sequence[Looked]] = [
        _columns(found, expect),
        _lists(found, expect),
        _conditions(found, expect),
        _counted(world, expect, counted),
    ]
    for name, look in LOOKS.items():
        wanted = getattr(expect, name)
        if wanted not in (None, {}) or (name == "weights" and wanted is not None):
            looks.append(await look(world, found, wanted))
    if expect.untouched:
        looks.append(await _untouched(world, counted))
    return [f"{what} is {seen}" for look in looks for what, seen in look if seen is not None]


async def _read(world: World, name: str) -> Rollout:
    """The Rollout; of a status that cannot be read, what people are told in it."""
    manifest = await world.objects.get("Rollout", NAMESPACE, name)
    assert manifest is not None, f"Rollout {name} does not exist"
    try:
        return Rollout.read(manifest)
    except ValidationError:
        told = ("observedGeneration", "phase", "conditions", "stable", "candidate")
        status = {key: value for key, value in manifest["status"].items() if key in told}
        return Rollout.read({**manifest, "status": status})


def _differs(what: str, seen: object, wanted: object) -> Looked:
    return what, None if wanted is None or seen == wanted else f"{seen!r}, not {wanted!r}"


# ------------------------------------------------------------------ status
def _columns(found: Rollout, expect: Expect) -> list[Looked]:
    status = found.status
    attempt, phases = status.attempt, expect.phase
    allowed = (phases,) if isinstance(phases, str) else phases
    return [
        ("phase", None if not allowed or status.phase in allowed else f"{status.phase!r}, not {phases!r}"),
        _differs("step", status.step, expect.step),
        _differs("attempt", attempt.number if attempt else 0, expect.attempt),
        _differs("outcome", str(attempt.outcome) if attempt and attempt.outcome else "none", expect.outcome),
        _differs("stable", status.stable.version if status.stable else "none", expect.stable),
        _differs("candidate", status.candidate.version if status.candidate else "none", expect.candidate),
    ]


def _lists(found: Rollout, expect: Expect) -> list[Looked]:
    status, split = found.status, found.status.traffic
    shares = {
        "stable": split.stable_percent if split else 0,
        "candidate": split.candidate_percent if split else 0,
        "shadow": split.shadow_percent if split else 0,
        "control": split.control_percent if split else 0,
    }
    held = None if expect.quarantine is None else list(expect.quarantine)
    verdicts = {gate.name: str(gate.verdict) for gate in status.gates}
    return [
        _differs("quarantine", [item.version for item in status.quarantine], held),
        _differs("draining", len(status.draining), expect.draining),
        *(
            _differs(f"traffic of {who}", shares.get(who), share)
            for who, share in (expect.traffic or {}).items()
        ),
        *(
            _differs(f"gate {name}", verdicts.get(name, "absent"), verdict)
            for name, verdict in expect.gates.items()
        ),
    ]


def _conditions(found: Rollout, expect: Expect) -> list[Looked]:
    known = {str(c.type): (f"{c.status}/{c.reason}", c.message) for c in found.status.conditions}
    return [
        look
        for kind, wanted in expect.conditions.items()
        for look in _condition(kind, known.get(kind, ("absent", "")), wanted)
    ]


def _condition(what: str, seen: tuple[str, str], wanted: Condition | str) -> list[Looked]:
    shown, message = seen
    rule = wanted if isinstance(wanted, Condition) else None
    missing = [word for word in (rule.says if rule else ()) if word not in message]
    return [
        _differs(f"condition {what}", shown, rule.shows if rule else wanted),
        (f"message of {what}", f"{message!r} without {missing}" if missing else None),
    ]


async def _templates(world: World, found: Rollout, wanted: Mapping[str, Condition | str]) -> list[Looked]:
    looked: list[Looked] = []
    for name, rule in wanted.items():
        manifest = await world.objects.get("MetricTemplate", "", name)
        told = mappings(mapping((manifest or {}).get("status")).get("conditions"))
        ready = next((c for c in told if c["type"] == "Ready"), None)
        seen = (f"{ready['status']}/{ready['reason']}", str(ready["message"])) if ready else ("absent", "")
        looked += _condition(f"Ready of MetricTemplate {name}", seen, rule)
    return looked


# ------------------------------------------------------------------ objects
async def _weights(world: World, found: Rollout, wanted: dict[str, int] | str) -> list[Looked]:
    route = await world.objects.get("HTTPRoute", NAMESPACE, found.metadata.name)
    seen: dict[str, int] | str = "none"
    if route is not None:
        names = roles(found.status)
        weights, mirrors = backends(route)
        seen = {names.get(name, name): weight for name, weight in weights.items()}
        for name, percent in mirrors.items():
            role = names.get(name, name)
            seen["mirror" if role == "shadow" else role] = percent
    return [_differs("the route", seen, wanted)]


async def _route(world: World, found: Rollout, wanted: Mapping[str, Any]) -> list[Looked]:
    route = await world.objects.get("HTTPRoute", NAMESPACE, found.metadata.name)
    fields = ((path, _field(route, path), value) for path, value in wanted.items())
    return [(f"{path} of the route", None if seen == value else repr(seen)) for path, seen, value in fields]


def _field(manifest: Any, path: str) -> Any:
    """What stands at a path; None where nothing does."""
    for key in path.split("/")[1:]:
        if isinstance(manifest, list):
            manifest = manifest[int(key)] if int(key) < len(manifest) else None
        else:
            manifest = mapping(manifest).get(key)
    return manifest


async def _ledger(world: World, found: Rollout, wanted: Mapping[int, tuple[str, ...]]) -> list[Looked]:
    looked = []
    for attempt, moves in wanted.items():
        told = await _entries(world, found, attempt)
        rest = list(moves[1:] if moves[:1] == ("...",) else moves)
        if moves[:1] == ("...",):
            told = told[-len(rest) :]
        seen = [
            f"{entry['stage']}: {entry['reason']}" if ": " in wish else entry["reason"]
            for entry, wish in zip(told, rest, strict=False)
        ]
        seen += [f"{entry['stage']}: {entry['reason']}" for entry in told[len(rest) :]]
        looked.append(_differs(f"the ledger of attempt {attempt}", seen, rest))
    return looked


async def _entries(world: World, found: Rollout, attempt: int) -> list[Manifest]:
    return [
        entry
        for release in await world.releases()
        if release["header"]["attempt"] == attempt and release["header"]["rolloutUid"] == found.metadata.uid
        for entry in release["entries"]
    ]


async def _outcomes(world: World, found: Rollout, wanted: Mapping[int, str]) -> list[Looked]:
    looked = []
    for attempt, outcome in wanted.items():
        told = await _entries(world, found, attempt)
        looked.append(
            _differs(f"the outcome of {attempt}", told[-1].get("outcome") if told else None, outcome)
        )
    return looked


async def _results(world: World, found: Rollout, wanted: Mapping[int, Came]) -> list[Looked]:
    results = {
        release["header"]["attempt"]: release.get("result") or {}
        for release in await world.releases()
        if release["header"]["rolloutUid"] == found.metadata.uid
    }
    return [look for attempt, came in wanted.items() for look in _came(results.get(attempt, {}), came)]


def _came(result: Manifest, came: Came) -> list[Looked]:
    lifts = {lift["metric"]: _direction(lift) for lift in result.get("lifts") or ()}
    judged = result.get("expected") or ()
    verdicts = {one["metric"]: one["verdict"] for one in judged}
    told = "; ".join(one["message"] for one in judged)
    known = sorted(
        (value, name.removesuffix("Time")) for name, value in result.items() if name.endswith("Time")
    )
    costs = None if came.costs is None else "costUSD" in result
    return [
        *(_differs(f"lift of {metric}", lifts.get(metric), way) for metric, way in came.lifts.items()),
        *(_differs(f"judgement of {name}", verdicts.get(name), wish) for name, wish in came.expected.items()),
        *((f"judgements: {told!r}", None if word in told else f"without {word!r}") for word in came.says),
        _differs("times", [name for _, name in known], None if came.times is None else list(came.times)),
        _differs("whether the cost is known", costs, came.costs),
    ]


def _direction(lift: Manifest) -> str:
    if "lift" not in lift:
        return "unknown"
    low, high = float(lift["low"]), float(lift["high"])
    return "up" if low > 0 else "down" if high < 0 else "unclear"


async def _events(world: World, found: Rollout, wanted: Mapping[str, int]) -> list[Looked]:
    told = Counter(
        event["reason"]
        for event in await world.objects.list("Event")
        if event["regarding"]["name"] == found.metadata.name
    )
    return [_differs(f"the number of {reason} events", told[reason], n) for reason, n in wanted.items()]


async def _deployment(world: World, found: Rollout, role: str) -> Manifest | None:
    name = next((name for name, its in roles(found.status).items() if its == role), "")
    return await world.objects.get("Deployment", NAMESPACE, name)


async def _replicas(world: World, found: Rollout, wanted: Mapping[str, int]) -> list[Looked]:
    looked = []
    for role, count in wanted.items():
        deployment = await _deployment(world, found, role)
        seen = deployment["spec"]["replicas"] if deployment else None
        looked.append(_differs(f"the size of {role}", seen, count))
    return looked


async def _images(world: World, found: Rollout, wanted: Mapping[str, str]) -> list[Looked]:
    looked = []
    for role, image in wanted.items():
        deployment = await _deployment(world, found, role)
        pod = deployment["spec"]["template"]["spec"] if deployment else {"containers": [{}]}
        looked.append(_differs(f"the image of {role}", pod["containers"][0].get("image"), image))
    return looked


async def _variables(world: World, found: Rollout, wanted: Mapping[str, Sequence[str]]) -> list[Looked]:
    looked = []
    for role, names in wanted.items():
        deployment = await _deployment(world, found, role)
        pod = deployment["spec"]["template"]["spec"] if deployment else {"containers": [{}]}
        given = [item["name"] for item in pod["containers"][0].get("env", [])]
        theirs = tuple(name for name in given if not name.startswith(("INTERLOCK_", "OTEL_")))
        looked.append(_differs(f"the variables of {role}", theirs, tuple(names)))
    return looked


async def _objects(world: World, found: Rollout, wanted: Mapping[str, int]) -> list[Looked]:
    return [
        _differs(f"the number of {kind}s", len(await world.objects.list(kind)), n)
        for kind, n in wanted.items()
    ]


async def _untouched(world: World, counted: Counted) -> list[Looked]:
    looked: list[Looked] = []
    for (kind, name), theirs in counted.theirs.items():
        stored = await world.objects.get(kind, home(kind), name)
        looked.append(_differs(f"what Git owns of {kind} {name}", stored and owned(stored), theirs))
    return looked


def owned(manifest: Manifest) -> Manifest:
    """What belongs to whoever applied it."""
    given = {"name", "namespace", "uid", "generation", "resourceVersion", "creationTimestamp"}
    meta = {key: value for key, value in manifest["metadata"].items() if key not in given}
    return {"spec": manifest.get("spec"), "metadata": meta}


LOOKS: dict[str, Callable[[World, Rollout, Any], Awaitable[list[Looked]]]] = {
    "weights": _weights,
    "route": _route,
    "ledger": _ledger,
    "outcomes": _outcomes,
    "results": _results,
    "events": _events,
    "replicas": _replicas,
    "images": _images,
    "variables": _variables,
    "templates": _templates,
    "objects": _objects,
}


# ------------------------------------------------------------------ counts
def _counted(world: World, expect: Expect, counted: Counted) -> list[Looked]:
    rule = Writes(atMost=expect.writes) if isinstance(expect.writes, int) else expect.writes
    looked = [_differs("the number of queries", world.metrics.reads - counted.queries, expect.queries)]
    if rule is not None:
        made = [f"{write.verb} {write.kind}" for write in world.faults.writes[counted.writes :]]
        kinds = {write.kind for write in world.faults.writes[counted.writes :]}
        looked.append(("writes", f"{Counter(made)}" if len(made) > rule.at_most else None))
        others = kinds - set(rule.only) if rule.only is not None else set()
        looked.append(("what is written", sorted(others) or None))
    for role, wanted in expect.tasks.items():
        done = world.mirrored if role in ("shadow", "control") else world.served
        names = [name for name in done if _role_of(world, name) == role]
        seen = sum(done[name] - counted.tasks[name] for name in names)
        looked.append((f"the tasks of {role}", None if (seen > 0) == (wanted == "some") else seen))
    return looked


def _role_of(world: World, workload: str) -> str:
    manifest = world.objects._objects.get(("Rollout", NAMESPACE, "triage"))
    return roles(Rollout.read(manifest).status).get(workload, "") if manifest else ""
