"""Figures that the stories measure on the way; printed at the end of the run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Measured = Callable[[str], None]
"""Notes one line."""

FIGURES = pytest.StashKey[list[str]]()
