"""The image holds all that the agent needs: itself, the catalogue, and the packages that it imports."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from dev.demo import image
from dev.demo.agent.catalogue import Catalogue, read_catalogue


def imported_packages(source: Path) -> set[str]:
    """Top-level names of what a file imports from outside its own package."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_the_agent_imports_the_standard_library_and_one_locked_package() -> None:
    agent = image.files()["/app/agent"]
    imported = set().union(*(imported_packages(source) for source in agent.glob("*.py")))

    assert imported - sys.stdlib_module_names == {"prometheus_client"}
    locked = [line for line in image.REQUIREMENTS.read_text().splitlines() if "==" in line]
    assert [line.partition("==")[0] for line in locked] == ["prometheus-client"]


def test_the_catalogue_lies_where_the_agent_looks_for_it(shown: Catalogue) -> None:
    files = image.files()

    assert files.keys() == {"/app/agent", "/app/catalogue.json"}
    assert read_catalogue(files["/app/catalogue.json"]) == shown
