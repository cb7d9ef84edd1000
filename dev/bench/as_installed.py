"""Runs a module as users have it: `python -m dev.bench.as_installed HIDDEN,HIDDEN… MODULE ARGUMENT…`.

kopf imports what it finds (the kubernetes client, rich); tests and demo need those, the image of the operator
does not hold them.
"""

from __future__ import annotations

import re
import runpy
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

LOCK = Path(__file__).parents[2] / "locks" / "runtime.txt"


def hidden() -> list[str]:
    """Top-level modules that are installed here and not with the operator."""
    pinned = {_canonical(name) for name in re.findall(r"^([\w.-]+)==", LOCK.read_text(), re.MULTILINE)}
    pinned.add("interlock")
    return sorted(
        module
        for module, owners in packages_distributions().items()
        if module.isidentifier() and not pinned & {_canonical(owner) for owner in owners}
    )


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Become the module."""
    _, names, module, *arguments = sys.argv
    sys.modules.update(dict.fromkeys(names.split(",")))  # type: ignore[arg-type]  # None: "not found"
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
