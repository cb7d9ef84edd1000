"""Figures that the stories measure on the way; printed at the end of the run."""

from __future__ import annotations

from collections.abc import Callable

Measured = Callable[[str], None]
"""Notes one line."""

MEASURED = "measured"
"""Name of the property of a test's report that holds one."""
