"""Releases as an operator would have left them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from interlock.core.observation import Manifest

START = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = "0f0e0d0c-old", "1f1e1d1c-new"

PROMOTED = [("Preparing", "AttemptStarted"), ("Soaking", "SoakStarted"), ("Done", "SoakPassed")]
REVERTED = [("Preparing", "AttemptStarted"), ("Reverting", "GateFailed"), ("Done", "GateFailed")]
TAKEN_OFF = [("Preparing", "AttemptStarted"), ("Reverting", "Starved"), ("Done", "Starved")]
RUNNING = [("Preparing", "AttemptStarted"), ("Running", "StepStarted")]
OUTCOMES = {"SoakPassed": "Promoted", "FirstVersionServing": "Promoted", "Superseded": "Superseded"}


def who(version: str, content: str = "") -> Manifest:
    """A version's identity; the digest follows from `content`."""
    digest = ((content or version).encode().hex() * 64)[:64]
    return {"version": version, "uid": f"uid-{version}", "digest": digest, "workload": f"triage-{version}"}


def release(
    attempt: int,
    version: str,
    moves: list[tuple[str, str]],
    *,
    uid: str = OLD,
    day: int = 0,
    stable: Manifest | None = None,
    content: str = "",
) -> Manifest:
    """The record of one attempt that began on a day and made a move an hour."""
    header: Manifest = {
        "rollout": "triage",
        "rolloutUid": uid,
        "agent": "triage",
        "attempt": attempt,
        "candidate": who(version, content),
    }
    if stable:
        header["stable"] = stable
    entries = []
    for seq, (stage, reason) in enumerate(moves, start=1):
        entry = {
            "seq": seq,
            "time": (START + timedelta(days=day, hours=seq)).isoformat(),
            "stage": stage,
            "reason": reason,
            "message": f"{version}: {stage} because of {reason}",
            "stablePercent": 100,
            "candidatePercent": 0,
            "shadowPercent": 0,
        }
        if stage == "Done":
            entry["outcome"] = OUTCOMES.get(reason, "Reverted")
        entries.append(entry)
    name = f"triage-{uid[:6]}-{attempt}"
    meta = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": "1"}
    return {
        "apiVersion": "interlock.dev/v1alpha1",
        "kind": "Release",
        "metadata": meta,
        "header": header,
        "entries": entries,
    }
