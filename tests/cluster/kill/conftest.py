"""An operator that is killed by its own writes and started again each time."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.kill.plans import Plans
from tests.cluster.landscape import Landscape
from tests.cluster.operator import Operator


@pytest.fixture
async def plans(landscape: Landscape, tmp_path: Path) -> AsyncIterator[Plans]:
    """The plans of the one operator that runs during the test."""
    await landscape.rest()
    operator = landscape.another(str(tmp_path), module="tests.cluster.kill.doomed")
    await operator.start()
    reviving = asyncio.create_task(_revive(operator))
    yield Plans(tmp_path)
    assert not reviving.done(), reviving.exception()
    reviving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reviving
    if operator.program.ended is None:
        operator.program.kill()
    await operator.close()


async def _revive(operator: Operator) -> None:
    """What the kubelet does with a container that has ended."""
    while True:
        code = operator.program.ended
        if code is not None:
            assert code == -signal.SIGKILL, f"the operator ended with {code}:\n{operator.program.tail()}"
            operator.program.start()
        await asyncio.sleep(0.05)
