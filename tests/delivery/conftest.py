"""The API server in the test's own namespace."""

from __future__ import annotations

import httpx
import pytest

from tests.delivery.api import Api


@pytest.fixture
def api(connection: httpx.Client, namespace: str) -> Api:
    """The API server as an administrator sees it, in a fresh namespace."""
    return Api(connection, namespace)


@pytest.fixture(scope="session")
def anywhere(connection: httpx.Client) -> Api:
    """The same for tests that store nothing: they share a namespace."""
    return Api(connection, "default")
