"""When the operator is to be killed: files, because they must outlive it; a few for each namespace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Side = Literal["before", "after"]


class Plans:
    """A namespace without a plan is left alone. Each kill happens once, however often the write is tried."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    # ------------------------------------------------------------------ the test's part
    def at_kinds(self, namespace: str, kinds: Sequence[str], side: Side) -> None:
        """Kill at the next write of each of these kinds."""
        self._arm(namespace, {"kinds": list(kinds), "side": side})

    def at_number(self, namespace: str, number: int, side: Side) -> None:
        """Kill at the n-th write from now on, counted from 1; 0: never."""
        self._arm(namespace, {"number": number, "side": side})

    def _arm(self, namespace: str, plan: dict[str, object]) -> None:
        unfinished = self._folder / f"{namespace}.new"
        unfinished.write_text(json.dumps(plan))
        unfinished.rename(self._folder / f"{namespace}.json")

    def kills(self, namespace: str) -> list[str]:
        """The writes at which it was killed, in order."""
        return _lines(self._folder / f"{namespace}.kills")

    def writes(self, namespace: str) -> list[str]:
        """All writes since the plan was made, those that did not happen included."""
        return _lines(self._folder / f"{namespace}.writes")

    # ------------------------------------------------------------------ the operator's part
    def note(self, namespace: str, what: str) -> Side | None:
        """A write is about to happen. Returns whether to die before or after it, if at all."""
        place = self._folder / f"{namespace}.json"
        if not place.exists():
            return None
        plan = json.loads(place.read_text())
        _append(self._folder / f"{namespace}.writes", what)
        if "kinds" in plan:
            due = what in plan["kinds"] and what not in self.kills(namespace)
        else:
            due = len(self.writes(namespace)) == plan["number"]
        side: Side = plan["side"]
        return side if due else None

    def killed(self, namespace: str, what: str) -> None:
        """Remember that this write was the last of a life."""
        _append(self._folder / f"{namespace}.kills", what)


def _append(place: Path, line: str) -> None:
    with place.open("a") as output:
        output.write(line + "\n")


def _lines(place: Path) -> list[str]:
    return place.read_text().splitlines() if place.exists() else []
