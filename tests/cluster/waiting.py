"""Waiting for a condition, never for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

PAUSE = 0.05


async def until(
    holds: Callable[[], Awaitable[bool]],
    seconds: float,
    what: str,
    diagnosis: Callable[[], str] = lambda: "",
    pause: float = PAUSE,
) -> None:
    """Wait until `holds()`; after `seconds` fail with `what` and the diagnosis."""
    deadline = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}\n{diagnosis()}")
        await asyncio.sleep(pause)
