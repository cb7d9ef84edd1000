"""The bench of the statistics: its worlds are what they claim, its rules what others do."""

from __future__ import annotations

from itertools import islice
from statistics import fmean, pvariance

import pytest

from dev.bench.statistics import TABLES, main
from dev.bench.statistics_rules import Evidence, FixedThreshold, attempt_reverts
from dev.bench.statistics_worlds import Durations, Look, completions, drifting, poisson, sessions, steady
from interlock.analysis.dispersion import design_effect
from interlock.analysis.evidence import HarmProcess, Tally
from interlock.analysis.gates import Compare, Gate
from interlock.analysis.presets import metric
from tests.analysis.chance import world

SUCCESS = Gate("success", metric("task-success-rate"), Compare(0.0))


class TestWorlds:
    @pytest.mark.parametrize("mean", [0.0, 0.4, 19.0, 21.0, 300.0])
    def test_poisson_draws(self, mean: float) -> None:
        chance = world()
        found = [poisson(chance, mean) for _ in range(10_000)]
        assert fmean(found) == pytest.approx(mean, rel=0.03)
        assert pvariance(found) == pytest.approx(mean, rel=0.06)

    def test_a_steady_world(self) -> None:
        looks = list(islice(steady(world(), 20, 0.8, 0.9), 400))
        candidate, stable = self.totals(looks)
        assert candidate.total / (candidate.total + stable.total) == pytest.approx(0.1, rel=0.05)
        assert candidate.total + stable.total == pytest.approx(400 * 15 * 20, rel=0.01)
        assert candidate.good / candidate.total == pytest.approx(0.8, abs=0.02)
        assert stable.good / stable.total == pytest.approx(0.9, abs=0.01)

    def test_rates_and_shares_follow_the_look(self) -> None:
        looks = list(
            islice(drifting(world(), 20, lambda k: k % 2, lambda _: 1.0, lambda k: 0.5 if k < 5 else 0.0), 10)
        )
        assert looks[0].candidate.good == 0 < looks[0].candidate.total
        assert looks[1].candidate.good == looks[1].candidate.total > 0
        assert looks[9].candidate.total == 0

    @pytest.mark.parametrize(("correlation", "effect"), [(0.0, 1.0), (0.5, 3.0), (1.0, 5.0)])
    def test_sessions_of_five(self, correlation: float, effect: float) -> None:
        looks = list(islice(sessions(world(), 20, 0.9, 5, correlation), 1000))
        candidate, stable = self.totals(looks)
        assert candidate.good / candidate.total == pytest.approx(stable.good / stable.total, abs=0.02)
        assert design_effect(look.stable for look in looks) == pytest.approx(effect, rel=0.15)

    def test_the_candidates_first_completions_are_its_fast_failures(self) -> None:
        looks = list(islice(completions(world(), 200, 0.92, Durations()), 200))
        first, _ = self.totals(looks[:1])
        late, stable = self.totals(looks[60:])
        assert first.good / first.total < 0.75
        assert late.good / late.total == pytest.approx(0.92, abs=0.01)
        assert stable.good / stable.total == pytest.approx(0.92, abs=0.01)
        assert late.total / (late.total + stable.total) == pytest.approx(0.1, abs=0.005)

    def test_how_long_the_slowest_take(self) -> None:
        # 1 percent = .92·exp(-t/60) with nothing left of the failures
        assert Durations().quantile(0.99, 0.92) == pytest.approx(271.3, abs=0.1)

    @staticmethod
    def totals(looks: list[Look]) -> tuple[Tally, Tally]:
        return (
            sum((look.candidate for look in looks), Tally()),
            sum((look.stable for look in looks), Tally()),
        )


class TestFixedThresholds:
    def minutes(self, rule: FixedThreshold, *minutes: str) -> list[bool]:
        """Decisions after each minute: "+" within, "-" beyond the minimum, " " without a task."""
        tallies = {"+": Tally(10, 10), "-": Tally(5, 10), " ": Tally()}
        found = []
        for minute in "".join(minutes):
            looks = [Look(tallies[minute], Tally(90, 90))] + [Look(Tally(), Tally())] * 3
            found.append([rule.see(look) for look in looks][-1])
        return found

    def test_three_in_a_row(self) -> None:
        rule = FixedThreshold(0.9, 3, consecutive=True)
        assert self.minutes(rule, "--+-- -") == [False] * 6 + [True]

    def test_three_in_all(self) -> None:
        rule = FixedThreshold(0.9, 3, consecutive=False)
        assert self.minutes(rule, "-+-+ -") == [False] * 5 + [True]


class TestOurs:
    def test_blocks_close_when_both_sides_have_enough(self) -> None:
        process = HarmProcess(0.9, 0.0)
        rule = Evidence(process)
        for _ in range(3):
            assert not rule.see(Look(Tally(1, 1), Tally(9, 10)))
            assert process.candidate == Tally()
        rule.see(Look(Tally(1, 1), Tally(9, 10)))
        assert (process.candidate, process.stable) == (Tally(4, 4), Tally(36, 40))

    def test_an_attempt_takes_back_what_is_worse_and_keeps_what_is_not(self) -> None:
        bad, good = (steady(world(), 20, rate, 0.92) for rate in (0.7, 0.92))
        assert attempt_reverts(bad, (SUCCESS,), (20, 20), 30.0)
        assert not attempt_reverts(good, (SUCCESS,), (20, 20), 30.0)

    def test_what_comes_before_the_derived_warm_up_is_not_compared(self) -> None:
        looks = [Look(Tally(0, 50), Tally(450, 450))] * 18 + [Look(Tally(50, 50), Tally(450, 450))] * 20
        assert attempt_reverts(looks, (SUCCESS,), (38,), 0.0)
        assert not attempt_reverts(looks, (SUCCESS,), (38,), None, slow=300.0)


def test_all_tables_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runs", "3"]) == 0
    printed = capsys.readouterr().out
    for title in TABLES:
        assert title in printed
    assert " met, " in printed.splitlines()[-1]


def test_one_table_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runs", "3", "--table", "detection"]) == 0
    printed = capsys.readouterr().out
    assert [title for title in TABLES if title in printed] == ["Detection (one gate, one step, 10 % share)"]
    assert printed.count("; ") >= 12, "two fixed thresholds with their false reverts in each of six rows"


def test_a_table_that_is_not_there_is_named_among_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--table", "luck"])
    assert "'luck' (choose from 'false-reverts'" in capsys.readouterr().err
