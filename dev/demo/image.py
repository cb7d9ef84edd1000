"""Lays out what the demo agent's image has above a bare Python: one folder, `/app`.

The builder in `dev/cluster` makes the image of it; the base needs `/usr/bin/python3`, version 3.11.
"""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

from dev.demo.data import catalogue_file

IMAGE = "localhost/interlock-demo-agent:1"
WORKING_DIRECTORY = "/app"
COMMAND = ("/usr/bin/python3", "-m", "agent")
USER = 65532

_LOCK = Path(__file__).resolve().parents[2] / "locks" / "demo-agent.txt"
_PYTHON_OF_THE_BASE = (3, 11)


class LayerError(RuntimeError):
    """The layer could not be laid out; the text says what was tried."""


def app_layer(dest: Path) -> Path:
    """Fills `dest` (the root of the layer) with `app/`: agent, catalogue, locked dependencies. Returns `app`.

    Raises LayerError, or `data.DataError` when the questions cannot be fetched.
    """
    app = dest / "app"
    app.mkdir(parents=True)
    shutil.copytree(
        Path(__file__).resolve().parent / "agent", app / "agent", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copyfile(catalogue_file(), app / "catalogue.json")
    _install_dependencies(app)
    if sys.version_info[:2] == _PYTHON_OF_THE_BASE:
        # The container's root is read-only: without compiled code every start compiles everything again.
        compileall.compile_dir(
            app,
            quiet=1,
            stripdir=str(dest),
            prependdir="/",
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
        )
    return app


def _install_dependencies(app: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-compile"]
    command += ["--target", str(app), "--requirement", str(_LOCK)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LayerError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")


if __name__ == "__main__":
    print(app_layer(Path(sys.argv[1])))
