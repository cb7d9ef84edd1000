"""What the shell needs of the world outside, as narrow protocols; adapters implement them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from interlock.analysis.series import Series
from interlock.analysis.values import Evaluated
from interlock.core.labels import FIELD_MANAGER
from interlock.core.observation import Unreadable

Manifest = dict[str, Any]


class Objects(Protocol):
    """Kubernetes objects by kind, namespace and name.

    Every method raises `Conflict` when a precondition (resourceVersion, uid, "does not exist yet") fails,
    `SpecError` when the API server refuses the content, and `TransientError` for everything else.
    """

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object as stored now, or None."""

    async def list(self, kind: str, *, namespace: str = "", selector: str = "") -> list[Manifest]:
        """All objects of a kind, in one namespace or in all."""

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply as our field manager; a `metadata.resourceVersion` in it is a precondition on
        what exists; an object that is gone is made again all the same."""

    async def create(self, manifest: Manifest) -> Manifest:
        """Create; Conflict when the name exists."""

    async def replace(self, manifest: Manifest, *, manager: str = FIELD_MANAGER) -> Manifest:
        """Replace as that field manager; `metadata.resourceVersion` is required and is the precondition."""

    async def replace_status(self, manifest: Manifest) -> Manifest:
        """Replace the status subresource only; `metadata.resourceVersion` is required."""

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """Delete with a uid precondition; an object that is gone is no error."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Raw samples to read: families of one agent in one namespace, over (at − window, at]; seconds.

    `every`: only what was the newest sample at each multiple of so many seconds is needed; 0: all.
    `mark`: of an answer about the same families of the same agent, over a window that began no later; 0: of
    none. Series all of whose samples that answer had may be left out, but for alerts.
    """

    families: frozenset[str]
    namespace: str
    agent: str
    at: float
    window: float
    every: float = 0.0
    mark: int = 0


@dataclass(frozen=True, slots=True)
class Samples:
    """What Prometheus holds; a series without samples in the window is absent, never zero.

    `mark`: how the asker says next time that it has taken all of this in; 0 where that cannot be said.
    """

    series: Sequence[Series]
    warnings: tuple[str, ...] = ()
    mark: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An expression, at `first` and every `step` > 0 after it up to `last` ≥ `first`; unix seconds."""

    promql: str
    first: float
    last: float
    step: float

    @property
    def moments(self) -> tuple[float, ...]:
        """All of them, in order."""
        return tuple(
            self.first + n * self.step for n in range(round((self.last - self.first) / self.step) + 1)
        )


class Metrics(Protocol):
    """Raw counters, as scraped; and numbers that Prometheus computes."""

    async def read(self, selection: Selection) -> Samples | Unreadable:
        """Never raises: whatever goes wrong is `Unreadable` with a reason."""

    async def evaluate(self, evaluation: Evaluation) -> Sequence[Evaluated] | Unreadable:
        """What each moment gave, in order; a moment without exactly one finite number has `NoNumber`.

        Never raises.
        """
