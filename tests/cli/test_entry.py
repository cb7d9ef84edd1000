"""The plugin as kubectl starts it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
ENTRY = [str(BIN / "kubectl-interlock")]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ENTRY, *arguments], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def test_help_names_every_verb_and_itself_as_kubectl_calls_it() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "kubectl interlock" in done.stdout
    assert "get" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("arguments", [("get", "--nonsense"), ("nonsense",), ("get", "-o", "xml")])
def test_wrong_usage_is_told_on_stderr_and_ends_with_1(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert arguments[-1] in done.stderr


def test_without_kubectl_that_is_what_is_said() -> None:
    done = run("get", PATH="/nonexistent")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: kubectl must be on PATH: No such file or directory\n"


@pytest.mark.parametrize("arguments", [("--help",), ("get", "--help")])
def test_help_imports_neither_kopf_nor_the_model(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys; from interlock.cli.entry import main; main(sys.argv[1:]); "
        "print([m for m in ('kopf', 'aiohttp', 'rich.table', 'interlock.model', 'interlock.core') "
        "if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"


def test_where_the_libraries_are_missing_the_extra_is_named() -> None:
    code = "import sys; sys.modules['typer'] = None; from interlock.cli.entry import main; sys.exit(main([]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: typer is missing: install `interlock[cli]`\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["g"], ["get", ":4"]),
        (["get", "--out"], ["--output", ":4"]),
        (["get", "-o", ""], ["json", "yaml", "wide", ":4"]),
        (["get", "-o", "y"], ["yaml", ":4"]),
        (["get", "--kubeconfig", ""], [":0"]),
        (["get", ""], [":4"]),
        (["nonsense", ""], [":4"]),
    ],
)
def test_completion_speaks_cobras_protocol(words: list[str], expected: list[str]) -> None:
    program = str(BIN / "kubectl_complete-interlock")
    done = subprocess.run([program, *words], capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected
