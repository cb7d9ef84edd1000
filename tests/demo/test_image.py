"""The image's layer holds all that the agent needs besides a bare Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dev.demo.image import app_layer


def test_the_layer_runs_on_a_python_without_packages(tmp_path: Path) -> None:
    app = app_layer(tmp_path)

    # -S: no package of this machine is seen. Without a document it must get as far as asking for it.
    done = subprocess.run(
        [sys.executable, "-S", "-m", "agent"],
        cwd=app,
        env={"DEMO_DOCUMENT": str(tmp_path / "no-document.json")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert app == tmp_path / "app"
    assert "FileNotFoundError" in done.stderr
    assert "no-document.json" in done.stderr
    assert {path.name for path in app.iterdir()} >= {"agent", "catalogue.json", "prometheus_client"}
