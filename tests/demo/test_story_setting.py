"""What surrounds the story: who may run it, the YAML of a namespace of its own, the operator's process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from dev.cluster.processes import Process
from dev.demo import operator_process, setting
from dev.demo.__main__ import CANNOT_RUN, main
from dev.demo.operator_process import OperatorProcess
from dev.demo.versions import MANIFESTS


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process to be taken for an operator."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        yield child
        child.kill()


def log_of(tmp_path: Path, *lines: str) -> OperatorProcess:
    log = tmp_path / "operator.log"
    log.write_text("".join(f"{line}\n" for line in lines))
    return OperatorProcess(Process(1, ""), log)


# ------------------------------------------------------------------ who may run it
def test_without_root_and_without_a_cluster_one_sentence_names_the_two_ways_out(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert main([]) == CANNOT_RUN
    said = capfd.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert "as root on Linux" in said.err
    assert "Docker and kind as the first lines of kind-config.yaml say" in said.err


def test_options_without_a_command_are_those_of_run(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert main(["--seed", "3", "--rate", "10", "--name", "mine", "--no-keep"]) == CANNOT_RUN
    assert "--name mine" in capfd.readouterr().err


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "many"])
def test_a_rate_is_a_number_above_zero(rate: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--rate", rate])
    assert "--rate" in capfd.readouterr().err


def test_a_story_needs_what_runs_already(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["story", "--namespace", "s1", "--name", "nothing"]) == 1
    said = capfd.readouterr()
    assert (said.out, "nothing" in said.err) == ("", True)


def test_taking_down_what_is_not_there_is_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["down", "--name", "nothing"]) == 0
    assert "there was no demo nothing" in capfd.readouterr().out


# ------------------------------------------------------------------ what is applied
def test_every_custom_resource_that_is_installed_is_awaited() -> None:
    installed = yaml.safe_load_all(setting.INSTALL.read_text())
    names = {m["metadata"]["name"] for m in installed if m["kind"] == "CustomResourceDefinition"}
    assert names == set(setting.RESOURCES)


def test_the_manifests_move_to_a_namespace_with_its_own_host_name() -> None:
    moved = list(yaml.safe_load_all(setting.moved_manifests("s7")))

    assert [each["kind"] for each in moved] == [
        "Namespace", "Deployment", *["AgentVersion"] * 4, "Rollout"]  # fmt: skip
    assert moved[0]["metadata"]["name"] == "s7"
    assert {each["metadata"]["namespace"] for each in moved[1:]} == {"s7"}
    assert moved[-1]["spec"]["traffic"]["gatewayAPI"]["hostnames"] == ["triage.s7.test"]


def test_moving_changes_nothing_else() -> None:
    moved = list(yaml.safe_load_all(setting.moved_manifests("demo")))
    rollout = yaml.safe_load((MANIFESTS / "rollout.yaml").read_text())

    assert moved[-1] == rollout


# ------------------------------------------------------------------ the operator's process
def test_the_last_lines_of_the_log_are_sentences(tmp_path: Path) -> None:
    line = {
        "time": "2026-11-25T03:15:43.447+00:00",
        "level": "WARNING",
        "message": "cannot list",
        "namespace": "demo",
        "rollout": "triage",
    }
    broken = {"time": "2026-11-25T03:15:44.000+00:00", "level": "ERROR", "message": "pass failed",
              "exception": "Traceback …\nValueError: no such thing\n"}  # fmt: skip
    operator = log_of(tmp_path, "first", json.dumps(line), "not JSON", json.dumps(broken))

    assert operator.last_lines(3) == [
        "03:15:43 WARNING demo/triage: cannot list",
        "not JSON",
        "03:15:44 ERROR pass failed (ValueError: no such thing)",
    ]


def test_an_operator_without_a_log_has_said_nothing(tmp_path: Path) -> None:
    assert OperatorProcess(Process(1, ""), tmp_path / "none").last_lines() == []


def record(child: subprocess.Popen[bytes], tmp_path: Path, started: str | None = None) -> None:
    process = Process.of(child.pid)
    place = tmp_path / "interlock" / "operators" / "mine.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"pid": process.pid, "started": started or process.started}))


def test_the_recorded_operator_is_found_and_stopped(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    record(sleeper, tmp_path)
    found = operator_process.find("mine")

    assert found is not None
    assert found.alive()
    assert operator_process.halt("mine")
    assert not found.alive()
    assert operator_process.find("mine") is None, "the record is gone with it"


def test_of_an_operator_that_was_killed_no_record_stays(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    record(sleeper, tmp_path)
    sleeper.kill()
    sleeper.wait()

    assert main(["down", "--name", "mine"]) == 0
    assert operator_process.find("mine") is None


def test_another_process_with_the_same_number_is_left_alone(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    record(sleeper, tmp_path, started="12345")

    assert not operator_process.halt("mine")
    assert sleeper.poll() is None
