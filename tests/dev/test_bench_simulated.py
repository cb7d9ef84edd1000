"""The bench of a simulated day: what it plays is a day, and it measures the process that plays it."""

from __future__ import annotations

from pathlib import Path
from subprocess import CalledProcessError

import pytest
import yaml

from dev.bench.simulated import DAY, ROLLOUT, STORY, a_day_long, command, main
from interlock.model.rollout import RolloutSpec


def test_the_steps_of_the_rollout_take_a_day() -> None:
    found = list(yaml.safe_load_all(a_day_long(ROLLOUT.read_text(encoding="utf-8"))))
    (spec,) = (RolloutSpec.model_validate(one["spec"]) for one in found if one["kind"] == "Rollout")
    assert sum(step.duration_seconds for step in spec.strategy.steps) == DAY
    assert len(spec.analysis.gates) == 5


def test_the_figures_are_of_the_command() -> None:
    cost = command(ROLLOUT, STORY)
    assert cost.cpu > 0
    assert cost.wall > 0


def test_figures_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runs", "1"]) == 0
    assert capsys.readouterr().out.count("a simulated day as a command") == 2


def test_no_run_at_all_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--runs", "0"])
    assert "--runs must be at least 1, not 0" in capsys.readouterr().err


def test_a_command_that_fails_has_no_figures(tmp_path: Path) -> None:
    with pytest.raises(CalledProcessError):
        command(tmp_path / "absent.yaml", STORY)
