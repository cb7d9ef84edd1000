"""Series by number: their labels written once, however often a checkpoint speaks of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interlock.analysis.series import Identity, target_of


class SeriesTable:
    """Numbers for series. Labels that a target's series share are written once, the others once a kind."""

    def __init__(self) -> None:
        self._numbers: dict[Identity, int] = {}

    def number(self, identity: Identity) -> int:
        """The number of a series; the same for the same labels."""
        return self._numbers.setdefault(identity, len(self._numbers))

    def state(self) -> dict[str, Any]:
        """As JSON: for each series its target and its kind, in order of their numbers."""
        targets: dict[tuple[str, ...], list[Identity]] = {}
        for identity in self._numbers:
            targets.setdefault(target_of(dict(identity)), []).append(identity)
        shared = [frozenset.intersection(*map(frozenset, series)) for series in targets.values()]
        places = {identity: at for at, series in enumerate(targets.values()) for identity in series}
        kinds: dict[Identity, int] = {}
        rows = []
        for identity in self._numbers:
            own = tuple(label for label in identity if label not in shared[places[identity]])
            rows.append([places[identity], kinds.setdefault(own, len(kinds))])
        return {
            "targets": [dict(sorted(labels)) for labels in shared],
            "kinds": [dict(labels) for labels in kinds],
            "series": rows,
        }

    @staticmethod
    def read(state: Mapping[str, Any]) -> list[Identity]:
        """The labels of each series by its number."""
        return [
            tuple(sorted({**_labels(state["targets"][target]), **_labels(state["kinds"][kind])}.items()))
            for target, kind in state["series"]
        ]


def _labels(raw: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in raw.items()}
