"""An operator that is killed by its own writes and started again each time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.kill.plans import Plans
from tests.cluster.landscape import Landscape


@pytest.fixture
async def plans(landscape: Landscape, tmp_path: Path) -> AsyncIterator[Plans]:
    """The plans of the one operator that runs during the test."""
    await landscape.rest()
    operator = landscape.another(str(tmp_path), module="tests.cluster.kill.doomed")
    await operator.start()
    yield Plans(tmp_path)
    ended = operator.program.ended
    operator.program.kill()
    await operator.close()
    assert ended is None, f"a life ended with {ended}:\n{operator.program.tail()}"
