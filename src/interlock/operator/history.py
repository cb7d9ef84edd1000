"""Stable's day before an attempt, read once an attempt: what its gates weigh outcomes by.

Read at the resolution at which it is looked at, in parts, beside the ticks; nobody waits for it but the gates
that weigh by it. What cannot be read after some tries is unknown, and said to be: it never holds an attempt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from interlock.analysis.collecting import Collected
from interlock.analysis.dispersion import LOOK_SECONDS
from interlock.analysis.past import Past, families_of, looks_back, pasts, span, subject, unknown_pasts
from interlock.analysis.plan import Plan
from interlock.core.observation import Unreadable
from interlock.model.rollout import Rollout
from interlock.operator.checkpoints import Walk
from interlock.operator.telemetry import about
from interlock.ports import Metrics, Selection

log = logging.getLogger(__name__)

PART = 6 * 3600.0
"""Seconds of the day read at once: an answer holds 72 samples of a series."""
TRIES = 6
"""Looks at which it is asked for before it is given up."""
PATIENCE = 0.05
"""Seconds that a look waits: most answers are there at once, and no tick is to be late for it."""

Pasts = Mapping[str, Past]
Place = tuple[str, str]


@dataclass(slots=True)
class _Asked:
    """For whom, about what, and how often."""

    walk: Walk
    subjects: frozenset[str]
    task: asyncio.Task[Pasts | Unreadable]
    tries: int = 1


class Histories:
    """Reads what attempts look back on. Keeps nothing but the answer: the evidence does."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._asked: dict[Place, _Asked] = {}

    async def before(self, rollout: Rollout, walk: Walk, plan: Plan, since: float) -> Pasts | None:
        """What stable did in the day before `since` (unix seconds), by subject; None while that is read."""
        asked = self._asking(rollout, walk, plan, since)
        await asyncio.wait({asked.task}, timeout=PATIENCE)
        if not asked.task.done():
            return None
        found = asked.task.result()
        if not isinstance(found, Unreadable):
            return found
        if asked.tries < TRIES:
            asked.task, asked.tries = self._begin(rollout, plan, since), asked.tries + 1
            return None
        log.warning(
            "what stable did in the day before this attempt is unknown: %s",
            found.reason,
            extra=about(rollout),
        )
        return unknown_pasts(plan.gates, f"the day before this attempt cannot be read: {found.reason}"[:200])

    def forget(self, namespace: str, name: str) -> None:
        """The Rollout is gone, or has nothing to look back on any more."""
        asked = self._asked.pop((namespace, name), None)
        if asked is not None:
            asked.task.cancel()

    def _asking(self, rollout: Rollout, walk: Walk, plan: Plan, since: float) -> _Asked:
        place = rollout.metadata.namespace, rollout.metadata.name
        subjects = frozenset(subject(gate) for gate in plan.gates if looks_back(gate))
        asked = self._asked.get(place)
        if asked is None or (asked.walk, asked.subjects) != (walk, subjects):
            self.forget(*place)
            asked = self._asked[place] = _Asked(walk, subjects, self._begin(rollout, plan, since))
        return asked

    def _begin(self, rollout: Rollout, plan: Plan, since: float) -> asyncio.Task[Pasts | Unreadable]:
        return asyncio.create_task(self._read(rollout.metadata.namespace, rollout.spec.agent, plan, since))

    async def _read(self, namespace: str, agent: str, plan: Plan, since: float) -> Pasts | Unreadable:
        at, end = span(since)
        collected, families = Collected(plan, at), families_of(plan.gates)
        while at < end:
            # from a look before it, so that what happened over the seam is counted
            window, at = min(PART, end - at) + 2 * LOOK_SECONDS, min(at + PART, end)
            selection = Selection(families, namespace, agent, at, window, every=LOOK_SECONDS)
            found = await self._metrics.read(selection)
            if isinstance(found, Unreadable):
                return found
            collected.add(found.series, at)
        return pasts(plan.gates, collected.usual)
