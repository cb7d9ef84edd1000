"""Alerts while an attempt is prepared: what would take it back at once must be over before it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from interlock.analysis.presets import ALERTS
from interlock.analysis.series import Identity
from interlock.core.observation import Unreadable
from interlock.core.plans import alert_tests, has_alerts
from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from interlock.ports import Metrics, Selection

WINDOW = 120.0
"""Seconds that an alert's last sample stands for: rules may be evaluated only once a minute."""

Attempt = tuple[str, int, str]
"""Uid of the Rollout, number of the attempt, start of its walk."""


@dataclass(slots=True)
class _Alarm:
    """What fires: since when it was seen (unix seconds), and its name; `unknown`: why that is not known."""

    attempt: Attempt
    fires: dict[Identity, tuple[float, str]] = field(default_factory=dict)
    unknown: str = "alerts have not been read yet"


class Alarms:
    """Keeps what fires for prepared attempts."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._alarms: dict[tuple[str, str], _Alarm] = {}

    def firing(self, rollout: Rollout) -> str:
        """The alert that would take a prepared attempt back at once, or why that is not known; else empty.

        Like "alert HighErrorRate fires since 12:03:04 UTC". While alerts cannot be read, those last seen
        go on firing.
        """
        attempt = _prepared(rollout)
        if attempt is None:
            return ""
        alarm = self._alarms.get(_place(rollout))
        if alarm is None or alarm.attempt != attempt:
            return _Alarm(attempt).unknown
        if alarm.fires:
            at, name = min(alarm.fires.values())
            return f"alert {name} fires since {datetime.fromtimestamp(at, UTC):%H:%M:%S} UTC"
        return alarm.unknown

    def concern(self, rollout: Rollout) -> bool:
        """Whether there is anything to look at: an attempt is prepared, and a gate asks for alerts."""
        if _prepared(rollout) is not None:
            return True
        self._alarms.pop(_place(rollout), None)
        return False

    async def look(self, rollout: Rollout, at: float) -> None:
        """Read what fires at that moment (unix seconds), where alerts concern the Rollout."""
        attempt, place = _prepared(rollout), _place(rollout)
        if attempt is None:
            return
        alarm = self._alarms.get(place)
        if alarm is None or alarm.attempt != attempt:
            alarm = self._alarms[place] = _Alarm(attempt)
        answer = await self._metrics.read(
            Selection(frozenset({ALERTS}), place[0], rollout.spec.agent, at, WINDOW)
        )
        if isinstance(answer, Unreadable):
            alarm.unknown = f"alerts cannot be read: {answer.reason}"
            return
        tests = alert_tests(rollout)
        candidate = rollout.status.candidate.version if rollout.status.candidate else ""
        alarm.fires = {
            one.identity: alarm.fires.get(one.identity, (one.points[0][0], one.labels.get("alertname", "")))
            for one in answer.series
            if one.points and any(test.matches(one.labels, candidate) for test in tests)
        }
        alarm.unknown = ""

    def forget(self, namespace: str, name: str) -> None:
        """The Rollout is gone."""
        self._alarms.pop((namespace, name), None)


def _place(rollout: Rollout) -> tuple[str, str]:
    return rollout.metadata.namespace, rollout.metadata.name


def _prepared(rollout: Rollout) -> Attempt | None:
    """The attempt that a firing alert would keep from starting; a first version is judged by none."""
    attempt = rollout.status.attempt
    if attempt is None or attempt.stage is not Stage.PREPARING or rollout.status.stable is None:
        return None
    if not has_alerts(rollout):
        return None
    return rollout.metadata.uid, attempt.number, attempt.walk_started_time.isoformat()
