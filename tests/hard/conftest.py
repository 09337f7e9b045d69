"""What several of these modules share."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from data_sync.services import pulling

WAYS = ("whole", "listed")


@pytest.fixture(params=WAYS)
def both_ways_of_reading(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test twice: its few rows are read at once, as they always are, or listed first, as if they were many."""
    _read(request.param, monkeypatch)


@pytest.fixture(params=WAYS if connection.vendor == "sqlite" else WAYS[:1])
def both_ways_on_sqlite(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, where databases do not differ in what they list, and twice the time is not spent on each."""
    _read(request.param, monkeypatch)


def _read(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "listed":
        monkeypatch.setattr(pulling, "SMALL", -1)
