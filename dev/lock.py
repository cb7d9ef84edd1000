"""Resolve the dependencies anew into hash-locked requirements that name no host."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).parent / "uv"
LOCKS: dict[str, list[str]] = {
    "runtime": [],
    "cli": ["--extra", "cli"],
    "dev": ["--extra", "cli", "--extra", "dev", "--extra", "demo"],
}


def main() -> int:
    """Write locks/*.txt; returns uv's exit code."""
    for name, extras in LOCKS.items():
        command = [str(UV), "pip", "compile", "pyproject.toml", *extras, "--output-file", f"locks/{name}.txt"]
        options = ["--generate-hashes", "--universal", "--no-header", "--quiet", "--upgrade"]
        options += ["--no-emit-index-url", "--no-emit-find-links"]
        code = subprocess.run([*command, *options], cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
