"""Records envoy-ai-gateway.prom: `python -m dev.foreign.envoy_ai_gateway > FILE` (needs Go; some minutes).

What Envoy AI Gateway's own metrics export to Prometheus. The package is internal to its module, so a test is
put into a copy of the module, which is taken from Go's checksummed module cache.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MODULE = "github.com/envoyproxy/ai-gateway@v1.0.0"
_TEST = Path(__file__).parent / "envoy_ai_gateway_test.go"


def main() -> int:
    """Print what a scrape of its external processor gets."""
    downloaded = subprocess.run(
        ["go", "mod", "download", "-json", MODULE], capture_output=True, text=True, check=True
    )
    with tempfile.TemporaryDirectory() as folder:
        module, into = Path(folder) / "module", Path(folder) / "recorded"
        shutil.copytree(json.loads(downloaded.stdout)["Dir"], module, copy_function=shutil.copyfile)
        subprocess.run(["chmod", "-R", "u+w", module], check=True)
        place = module / "internal" / "record"
        place.mkdir()
        shutil.copyfile(_TEST, place / "record_test.go")
        subprocess.run(
            ["go", "test", "-count=1", "./internal/record"],
            cwd=module,
            env=os.environ | {"RECORD_INTO": str(into)},
            stdout=sys.stderr,
            check=True,
        )
        print(f"# recorded by dev/foreign/envoy_ai_gateway.py: {MODULE}")
        print("\n".join(line for line in into.read_text().splitlines() if "gen_ai_" in line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
