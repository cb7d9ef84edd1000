"""Parts of manifests that others wrote: a value of another type than expected is as good as absent. Pure."""

from __future__ import annotations

from typing import Any

from interlock.core.observation import Manifest


def mapping(value: Any) -> Manifest:
    """An object; empty where it is none."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[Manifest]:
    """The objects in a list; empty where it is none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """The texts in a list; empty where it is none."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def text(value: Any, otherwise: str = "") -> str:
    """A text, else `otherwise`."""
    return value if isinstance(value, str) else otherwise


def whole(value: Any, otherwise: int = 0) -> int:
    """A whole number, else `otherwise`."""
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise
