"""Fixtures of the lab's tests: sessions."""

from __future__ import annotations

import pytest

from lab.session_client import Lab


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture(scope="module")
def readonly() -> Lab:
    """A session that is shared by the tests of a module, which must not change it."""
    return Lab()


@pytest.fixture(scope="module")
def shared() -> Lab:
    """A session that is shared by the tests of a module, which may change it."""
    return Lab()
