"""How every play must end once users stop and everything around works again: at rest, in the right state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from interlock.model.release import Outcome, Stage
from interlock.model.rollout import Rollout
from interlock.reasons import HELD_BACK, QUARANTINING
from tests.core.machine.acts import VERSIONS, Act
from tests.core.machine.play import Play
from tests.core.machine.surroundings import NAMESPACE, Manifest
from tests.scenarios.rules import backends

PATIENCE = 150
"""Ticks until everything is at rest: two attempts of three steps with two slow starts need less than half."""
TIMES = {"lastTransitionTime", "since", "deadline", "time"}


def mended(play: Play, says: str) -> None:
    """Users stop, pods come up, the gateway accepts, the ledger records, and the evidence passes or fails."""
    play.faults.planned.clear()
    play.faults.refuses.clear()
    play.process.late.clear()
    acts = [
        Act("metrics", says),
        Act("gateway", "accepts"),
        *(Act("pods", (version, "up")) for version in VERSIONS),
        *(Act("create", version) for version in VERSIONS),
        Act("conversations", 0.0),
        Act("clear"),
        Act("route", "ours"),
    ]
    if not play.around.has_template:
        acts.append(Act("template", "example.com/agent:1"))
    acts += [Act("gates", "all"), Act("pause", False)]
    play.play(acts)


def come_to_rest(play: Play) -> None:
    """Until the operator has nothing more to do; AssertionError when it goes on for ever."""
    for _ in range(PATIENCE):
        if is_at_rest(play):
            return
        play.tick()
    raise AssertionError(f"no rest after {PATIENCE} ticks: {play.rollout().status.to_wire()}")


def is_at_rest(play: Play) -> bool:
    """Nothing is under way and nobody is to be woken."""
    status = play.rollout().status
    if is_lost(play):
        return play.process.due is None or status.attempt is not None
    done = status.attempt is None or status.attempt.stage is Stage.DONE
    return done and not status.draining and play.process.due is None and status.phase != "Pending"


def is_lost(play: Play) -> bool:
    """All that the stable workload was made from is gone: people are told so, and must act."""
    said = {condition.type: condition.message for condition in play.rollout().status.conditions}
    return play.wiped and "cannot be made again" in said.get("Stalled", "")


def check_quiet(play: Play) -> None:
    """At rest nothing is written and nobody is woken, however often one looks and however late."""
    writes = play.faults.writes
    for hours in (0, 1, 24):
        play.around.now += timedelta(hours=hours)
        play.process.due = play.around.now
        play.settle()
        assert play.process.due is None or is_lost(play), "somebody is woken for nothing"
    assert play.faults.writes == writes, "writes at rest"


def check_end(play: Play) -> None:
    """What is wanted serves, or is kept back for a reason that was there; the record is complete."""
    rollout = play.rollout()
    status = rollout.status
    check_record(play, rollout)
    said = {condition.type: condition for condition in status.conditions}
    ready = said["Ready"]
    if is_lost(play):
        return
    if ready.reason == "BaselineUnknown":
        assert play.wiped, ready.message
        return
    assert status.stable is not None, ready.message
    route = play.around.objects._objects["HTTPRoute", NAMESPACE, "triage"]
    assert backends(route) == ({status.stable.workload: 100}, {})
    for item in status.quarantine:
        assert item.digest in play.around.metrics.suspected or item.reason == "ContentChanged", item
    if status.phase == "Healthy":
        assert status.stable.version == rollout.spec.version_ref.name
    else:
        assert status.phase == "Reverted", ready.message
        check_kept_back(status)
    check_nothing_is_left(play, rollout)


def check_kept_back(status: Any) -> None:
    """What is wanted was harmful, or was taken off and is as it was."""
    attempt = status.attempt
    held = {item.reason for item in status.quarantine} & QUARANTINING
    taken_off = (
        attempt is not None
        and attempt.outcome is Outcome.REVERTED
        and attempt.reason in HELD_BACK | QUARANTINING
    )
    assert held or taken_off, status.to_wire()


def check_record(play: Play, rollout: Rollout) -> None:
    """One entry a move, of every attempt of this Rollout, up to where it is."""
    told = {
        release["header"]["attempt"]: release["entries"]
        for release in play.around.stored("Release")
        if release["header"]["rolloutUid"] == rollout.metadata.uid
    }
    attempt = rollout.status.attempt
    if attempt is None:
        return
    assert [entry["seq"] for entry in told[attempt.number]] == list(range(1, attempt.seq + 1))
    for number, entries in told.items():
        finished = number == attempt.number or entries[-1]["stage"] == "Done" or play.wiped
        assert finished, f"the record of attempt {number} has no end"


def check_nothing_is_left(play: Play, rollout: Rollout) -> None:
    """Of workloads, the stable one's alone."""
    assert rollout.status.stable is not None
    for kind in ("Deployment", "Service", "ConfigMap"):
        ours = [
            manifest["metadata"]["name"]
            for manifest in play.around.stored(kind)
            if any(
                o["uid"] == rollout.metadata.uid for o in manifest["metadata"].get("ownerReferences") or []
            )
        ]
        assert ours == [rollout.status.stable.workload], kind


def summary(play: Play) -> dict[str, Any]:
    """All that is left in the end, without moments and versions of objects."""
    kinds = ("Rollout", "Release", "HTTPRoute", "Deployment", "Service", "ConfigMap", "Event")
    found: dict[str, Any] = {}
    for kind in kinds:
        for manifest in play.around.stored(kind):
            found[f"{kind} {manifest['metadata']['name']}"] = _timeless(_essence(manifest))
    return found


def _essence(manifest: Manifest) -> Manifest:
    if manifest["kind"] == "Event":
        return {key: manifest[key] for key in ("type", "reason", "note")}
    kept = {key: value for key, value in manifest.items() if key != "metadata"}
    return kept | {"labels": manifest["metadata"].get("labels")}


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if not (k in TIMES or k.endswith("Time"))}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value
