"""A Prometheus with a past, for verbs that read history."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.past import served


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address."""
    with served(tmp_path_factory.mktemp("past")) as address:
        yield address
