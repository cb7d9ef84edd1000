"""Go programs, built from hash-locked modules into the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from dev.cluster import cache
from dev.cluster.errors import ClusterError, tail
from dev.cluster.progress import step
from dev.cluster.toolchain import GO_SOURCES, go, module_directory
from dev.cluster.versions import GoProgram


def program(wanted: GoProgram) -> Path:
    """The executable of ``wanted``, built if no earlier build had the same source, modules and flags."""
    source = GO_SOURCES / wanted.name
    ingredients = {
        "source": cache.digest_files(source),
        "package": wanted.package,
        "flags": list(wanted.flags),
        "machine": os.uname().machine,
    }
    return (
        cache.artifact(wanted.name, ingredients, lambda folder: _build(wanted, source, folder)) / wanted.name
    )


def _build(wanted: GoProgram, source: Path, folder: Path) -> None:
    log = cache.cache_root() / "logs" / f"build-{wanted.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [str(go()), "build", *wanted.flags, "-o", str(folder / wanted.name), wanted.package]
    # Static binaries: their images need no C library, and no C compiler is needed to build them.
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
    with step(f"build {wanted.name}"), log.open("w") as output:
        done = subprocess.run(command, cwd=source, env=environment, stdout=output, stderr=output, check=False)
        if done.returncode:
            raise ClusterError(f"go build of {wanted.name} failed; the end of {log}:\n{tail(log)}")


def chart(name: str, module: str, folder_in_module: str, substitutions: dict[str, str]) -> Path:
    """A Helm chart out of a Go module ``path@version``.

    Its ``values.tmpl.yaml`` is filled in, as the project's own release does it.
    """

    def make(folder: Path) -> None:
        shutil.copytree(module_directory(module) / folder_in_module, folder / "chart")
        for path in (folder / "chart", *(folder / "chart").rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)  # the module cache is read-only
        template = folder / "chart" / "values.tmpl.yaml"
        values = template.read_text()
        for variable, value in substitutions.items():
            values = values.replace(f"${{{variable}}}", value)
        (folder / "chart" / "values.yaml").write_text(values)
        template.unlink()

    ingredients = {"module": module, "folder": folder_in_module, "substitutions": substitutions}
    return cache.artifact(name, ingredients, make) / "chart"
