"""A walk in leaps reaches the timeline that a walk tick by tick reaches, whatever the story."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.simulation.timeline import Run
from interlock.simulation.walk import Walk
from tests.simulation.rollouts import (
    CANARY,
    COST,
    CRITICAL,
    FULL,
    SHADOW,
    SLOW,
    SUCCESS,
    VIOLATIONS,
    setup,
    story,
)

CHANCES = st.sampled_from([0.0, 0.02, 0.3, 0.7, 0.9, 1.0])
TIMES = st.integers(0, 1500)


@st.composite
def courses(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Up to three parts of a version's life."""
    fields = {
        "success": CHANCES,
        "violation": st.sampled_from([0.0, 0.02, 0.2]),
        "slow": CHANCES,
        "cost": st.sampled_from([0.01, 0.03]),
        "over": st.sampled_from([0, 60, 600]),
    }
    first = draw(st.fixed_dictionaries({}, optional=fields))
    later = draw(st.lists(st.fixed_dictionaries({"after": TIMES}, optional=fields), max_size=2))
    critical = draw(st.none() | st.integers(1, 200))
    first |= {"criticalAt": critical} if critical else {}
    return [first, *sorted(later, key=lambda part: int(part["after"]))]


@st.composite
def spells(draw: st.DrawFn) -> dict[str, Any]:
    """Prometheus away, scrapes missing, an alert."""
    spell = {"after": TIMES, "lasts": st.integers(5, 900)}
    gaps = st.fixed_dictionaries(spell | {"of": st.sampled_from(["Scrapes", "Prometheus"])})
    alert = st.fixed_dictionaries(spell | {"name": st.just("Slow"), "labels": st.just({"team": "a"})})
    return {"gaps": draw(st.lists(gaps, max_size=2)), "alerts": draw(st.lists(alert, max_size=1))}


@st.composite
def rollouts(draw: st.DrawFn) -> dict[str, Any]:
    """Steps, gates and deadlines."""
    steps = [
        *draw(st.sampled_from([[], [SHADOW]])),
        *draw(st.sampled_from([[], [CANARY], [CANARY | {"minTasks": 500}]])),
        draw(st.sampled_from([FULL, {"name": "full", "full": {"soakSeconds": 300}, "minTasks": 900}])),
    ]
    alert = {"name": "alert", "alert": {"matchLabels": {"team": "a"}}}
    certified = {**SUCCESS, "compare": {"worseByPoints": "5"}, "advance": "Certified"}
    gates = draw(
        st.lists(st.sampled_from([VIOLATIONS, CRITICAL, SLOW, COST, alert]), unique_by=str, max_size=4)
    )
    gates += [draw(st.sampled_from([SUCCESS, certified]))]
    quiet = draw(st.sampled_from([{}, {"holdAfterSeconds": 60, "revertAfterSeconds": 400}]))
    deadline = draw(st.sampled_from([{}, {"stepDeadlineSeconds": 700}]))
    deadline |= draw(st.sampled_from([{}, {"onDeadline": "Revert"}])) if deadline else {}
    warmup = draw(st.sampled_from([{}, {"warmupSeconds": None}]))
    return {"steps": steps, "gates": gates, "noData": quiet, **deadline, **warmup}


def walked(given_: dict[str, Any], told: dict[str, Any], seed: int, *, leaps: bool) -> Run:
    return Walk(setup(**given_), story(**told), seed, leaps=leaps).run()


@settings(max_examples=12, deadline=None)
@given(
    rollouts(),
    st.fixed_dictionaries({"stable": courses(), "candidate": courses()}),
    spells(),
    st.sampled_from([0.02, 0.2, 4]),
    st.integers(0, 2**32),
)
def test_leaps_change_nothing(
    given_: dict[str, Any], agents: dict[str, Any], around: dict[str, Any], rate: float, seed: int
) -> None:
    told = {"agents": agents, "rate": rate, "lasts": 1800, "scrapeInterval": 10, "tick": 5, **around}
    slow, fast = (walked(given_, told, seed, leaps=leaps) for leaps in (False, True))
    assert fast.moments == slow.moments
    assert (fast.outcome, fast.ended, fast.waits) == (slow.outcome, slow.ended, slow.waits)
    assert fast.gates == slow.gates


@pytest.mark.parametrize("rate", [4, [{"perSecond": 4}, {"after": 600, "over": 600, "perSecond": 0.5}]])
def test_leaps_are_taken(rate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    tick = Walk._tick

    def counted(walk: Walk) -> None:
        looks.append(walk._now)
        tick(walk)

    monkeypatch.setattr(Walk, "_tick", counted)
    run = walked({}, {"rate": rate}, 1, leaps=True)
    assert run.outcome == "Promoted"
    assert len(looks) < run.ended / 5 / 4, "of most ticks it was not asked what happens"
