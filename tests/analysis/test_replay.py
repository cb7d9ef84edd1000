"""The same samples give the same evidence, whenever, however often and in whatever order one looks."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.analysis.gates import AttemptEvidence, Compare, Gate
from interlock.analysis.presets import metric
from tests.analysis.attempt import CRITICAL, SINCE, SUCCESS, VIOLATION
from tests.analysis.stories import known, samples, story

GATES = (SUCCESS, VIOLATION, CRITICAL, Gate("verified", metric("verified-success-rate"), Compare(0.02)))


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.data())
def test_a_replay_equals_the_uninterrupted_run(seed: int, data: st.DataObject) -> None:
    """Also with other windows, more looks, another order of series, and with later steps known already."""
    attempt = story(seed, *GATES, twins=False)
    replayed, begin = AttemptEvidence(attempt.plan, SINCE), SINCE
    foreseen = data.draw(st.booleans())
    while begin < attempt.now:
        end = min(float(attempt.now), begin + data.draw(st.sampled_from([1.0, 7.0, 33.0, 1000.0])))
        times = attempt.times if foreseen else known(attempt.times, end)
        seen = data.draw(st.permutations(samples(attempt, begin - 30, end)))
        for _ in range(data.draw(st.integers(1, 2))):
            replayed.advance(times, seen, end)
        begin = end
    assert replayed.report() == attempt.report()
