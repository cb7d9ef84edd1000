"""Refuses keys of a Rollout that do not exist: the model, like the API server, passes them over."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from interlock.model.base import ApiModel
from interlock.model.gate import Gate
from interlock.model.rollout import RolloutSpec, Step


def refuse_unknown(model: type[ApiModel], given: Any, where: str) -> None:
    """AssertionError that names the keys; what else is wrong with `given` may be what the story is about."""
    try:
        model.model_validate(given, extra="forbid")
    except ValidationError as error:
        unknown = [
            ".".join(str(part) for part in problem["loc"])
            for problem in error.errors(include_url=False)
            if problem["type"] == "extra_forbidden"
        ]
        assert not unknown, f"{where} has keys that do not exist: {', '.join(unknown)}"


def refuse_unknown_part(named: str, given: Any) -> None:
    """The same of a step or a gate that is like the one of that name."""
    is_step = named in ("shadow", "controlled", "canary", "full")
    refuse_unknown(Step if is_step else Gate, given, f"what is like {named}")


def refuse_unknown_rules(spec: Any) -> None:
    """The same of a whole spec."""
    refuse_unknown(RolloutSpec, spec, "the Rollout's spec")
