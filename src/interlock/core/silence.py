"""What is known of the candidate at present: data, or one of three kinds of no data, and since when. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from interlock.analysis.gates import EvidenceReport, GateReading
from interlock.analysis.silence import Silence
from interlock.core.observation import Observation, Unreadable
from interlock.model.release import Stage
from interlock.model.rolloutstatus import Attempt, NoData


def measures(attempt: Attempt) -> bool:
    """Is there anything to read yet? The step's clock has started."""
    return attempt.stage in (Stage.RUNNING, Stage.SOAKING) and attempt.step_started_time is not None


def metrics_problem(seen: Observation, now: datetime) -> str:
    """Why nothing can be concluded from metrics at the moment; empty when something can."""
    match seen.evidence:
        case None:
            return "metrics have not been read yet"
        case Unreadable(reason=reason):
            return f"metrics cannot be read: {reason}"
        case report if report.last_sample is None:
            return "no samples of the candidate have been scraped"
        case report:
            age = now.timestamp() - report.last_sample
            return f"the newest sample is {age:.0f} s old" if age > seen.timing.freshness else ""


def no_data(seen: Observation, attempt: Attempt, now: datetime) -> NoData | None:
    """The present silence. Starved and Blind are one to the clock that takes the candidate off: neither
    says anything about it."""
    start = attempt.step_started_time
    if not measures(attempt) or start is None or now < start:
        return None
    held = attempt.no_data
    found = _as_read(seen, held, start, now)
    if found is None or (found.kind == Silence.IDLE and not lasts(seen, found, now)):
        found = _by_gates(seen, held, start, now) or found
        if found is None or found.kind != Silence.IDLE:
            return found
    if held is None:
        return found
    goes_on = held.kind == found.kind or Silence.IDLE not in (held.kind, found.kind)
    return found.model_copy(update={"since": min(held.since, found.since)}) if goes_on else found


def _as_read(seen: Observation, held: NoData | None, start: datetime, now: datetime) -> NoData | None:
    report = seen.evidence
    if report is None:
        return held  # just restarted: not yet read
    if isinstance(report, Unreadable):
        return NoData(kind=Silence.BLIND, since=now)
    reading = report.no_data
    if reading is None and not metrics_problem(seen, now):
        return None
    told = reading.since if reading else report.last_sample
    since = start if told is None else max(start, datetime.fromtimestamp(told, UTC))
    return NoData(kind=reading.kind if reading else Silence.BLIND, since=min(since, now))


def blind_gates(seen: Observation) -> list[GateReading]:
    """Gates that have nothing to judge by, though the candidate works and is scraped."""
    report = seen.evidence
    if not isinstance(report, EvidenceReport):
        return []
    return [gate for gate in report.gates if gate.blind_since is not None]


def _by_gates(seen: Observation, held: NoData | None, start: datetime, now: datetime) -> NoData | None:
    """A gate that sees nothing is as blind as if nobody saw anything: what it stands for is not known.

    While there was no traffic nobody could see anything; from then on it counts.
    """
    told = [gate.blind_since for gate in blind_gates(seen) if gate.blind_since is not None]
    if not told:
        return None
    since = max(start, datetime.fromtimestamp(min(told), UTC))
    if held is not None:
        since = max(since, now if held.kind == Silence.IDLE else held.since)
    return NoData(kind=Silence.BLIND, since=min(since, now))


def is_by_gates(seen: Observation, attempt: Attempt, now: datetime) -> bool:
    """Is it only gates that are blind, and for `holdAfterSeconds`?"""
    found = no_data(seen, attempt, now)
    blind = found is not None and found.kind == Silence.BLIND and lasts(seen, found, now)
    return blind and not metrics_problem(seen, now)


def stored(seen: Observation, attempt: Attempt, now: datetime) -> NoData | None:
    """What of the silence is worth a write: an unreadable Prometheus, and that there is traffic again but
    nothing to judge by, at once, for only we know since when; all else when it has lasted long enough to
    hold."""
    found, held = no_data(seen, attempt, now), attempt.no_data
    if found is None or isinstance(seen.evidence, Unreadable) or held == found:
        return found
    wakes = held is not None and held.kind == Silence.IDLE and found.kind == Silence.BLIND
    return found if wakes or lasts(seen, found, now) else None


def lasts(seen: Observation, silence: NoData | None, now: datetime) -> bool:
    """Has it lasted for `holdAfterSeconds`?"""
    hold = timedelta(seconds=seen.rollout.spec.analysis.no_data.hold_after_seconds)
    return silence is not None and now - silence.since >= hold


def is_idle(seen: Observation, attempt: Attempt, now: datetime) -> bool:
    """No traffic at all, for long enough: the clock stands still and nothing is taken off."""
    found = no_data(seen, attempt, now)
    return found is not None and found.kind == Silence.IDLE and lasts(seen, found, now)


def overdue(seen: Observation, attempt: Attempt, kind: Silence, now: datetime) -> str | None:
    """Has this silence lasted for `revertAfterSeconds`? Then a sentence that says so."""
    found = no_data(seen, attempt, now)
    limit = seen.rollout.spec.analysis.no_data.revert_after_seconds
    if found is None or found.kind != kind or now - found.since < timedelta(seconds=limit):
        return None
    return f"{in_words(seen, found, now)} (revertAfterSeconds: {limit})"


def in_words(seen: Observation, silence: NoData, now: datetime) -> str:
    """The silence as a sentence."""
    lasted = f"for {(now - silence.since).total_seconds():.0f} s"
    match silence.kind:
        case Silence.STARVED:
            return f"stable has had tasks and the candidate none {lasted}"
        case Silence.IDLE:
            return f"no version has had a task {lasted}"
        case _ if problem := metrics_problem(seen, now):
            return f"nothing is known of the candidate {lasted}: {problem}"
        case _:
            told = [_blind_in_words(seen, gate, lasted) for gate in blind_gates(seen)]
            return "; ".join(told) or f"nothing is known of the candidate {lasted}: no samples"


def _blind_in_words(seen: Observation, gate: GateReading, lasted: str) -> str:
    """What a gate lacks, and what somebody can do about it."""
    gates = enumerate(seen.rollout.spec.analysis.gates)
    place, metric = next(((i, g.metric or "") for i, g in gates if g.name == gate.name), (0, ""))
    source = f"MetricTemplate {metric}" if metric in seen.known else "what the agent exports"
    return (
        f"gate {gate.name} (metric {metric}) has had nothing to judge by {lasted}: {gate.message}; correct "
        f"{source}, or change or remove spec.analysis.gates[{place}]"
    )
