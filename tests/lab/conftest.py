"""Fixtures for the lab's tests: sessions."""

from __future__ import annotations

import pytest

from lab.session_client import Lab


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture(scope="module")
def still() -> Lab:
    """A session that nobody changes."""
    return Lab()


@pytest.fixture(scope="module")
def played() -> Lab:
    """A session with which anything may be done."""
    return Lab()
