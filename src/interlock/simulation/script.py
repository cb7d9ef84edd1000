"""How agents do over time, as a script: what each version does from when on, and how much there is to do.

Knows nothing of Kubernetes: whoever plays it (a small world, a simulation) turns it into samples.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: Any) -> Any:
    """`90s`, `15m`, `24h` or `2d` as seconds; numbers stay as they are."""
    if not isinstance(text, str):
        return text
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if found is None:
        raise ValueError("must be a number of seconds or like `90s`, `15m`, `24h`, `2d`")
    return int(found[1]) * _UNITS[found[2]]


Seconds = Annotated[float, BeforeValidator(seconds), Field(ge=0)]
Chance = Annotated[float, Field(ge=0, le=1)]


class Strict(BaseModel):
    """A key that is not known is an error that names it; numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, allow_inf_nan=False)


class Part(Strict):
    """What a version does from `after` on; what is not named stays as it was."""

    after: Seconds = 0
    """Since the script began."""
    success: Chance | None = None
    success_in_shadow: Chance | None = None
    """With stubbed tools; as live when never named."""
    violation: Chance | None = None
    slow: Chance | None = None
    """Of a task that takes over a minute, not 10 s; without it no durations are exported."""
    cost: Annotated[float, Field(ge=0)] | None = None
    """Of a task on average, USD; without it no costs are exported."""
    critical_at: Annotated[int, Field(ge=1)] | None = None
    """The task (counted from 1, over all pods) with the first critical violation."""

    def changes(self) -> dict[str, Any]:
        """The attributes that it names."""
        return self.model_dump(exclude={"after"}, exclude_none=True)


class Script(Strict):
    """A version, or an image (that one goes first), has one part or several in order of time."""

    rate: Annotated[float, Field(ge=0)] | None = None
    """Requests a second."""
    agents: dict[str, Part | tuple[Part, ...]] = {}

    def parts(self) -> list[tuple[float, str, dict[str, Any]]]:
        """Seconds since the script began, who, and the attributes that change, in order of time."""
        found = [
            (part.after, who, part.changes())
            for who, parts in self.agents.items()
            for part in (parts if isinstance(parts, tuple) else (parts,))
        ]
        return sorted(found, key=lambda item: item[0])
