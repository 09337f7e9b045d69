"""One server of each kind for all tests of this folder, and people at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.admin import making
from tests.environments import Environments
from tests.serving.person import Person
from tests.serving.processes import Server, serving
from tests.testapp.models import Product, Tag

CREATES = 20
collect_ignore_glob = ["test_*"] if os.name == "nt" else []
"""gunicorn does not run on Windows."""


@pytest.fixture(scope="session")
def gunicorn(django_db_setup: None) -> Iterator[Server]:
    """Three workers, each of which answers one request at a time."""
    with serving("gunicorn", "--workers", "3", "--timeout", "120") as server:
        yield server


@pytest.fixture(scope="session")
def uvicorn(django_db_setup: None) -> Iterator[Server]:
    with serving("uvicorn", "--log-level", "warning") as server:
        yield server


@pytest.fixture(params=["gunicorn", "uvicorn"])
def server(request: pytest.FixtureRequest) -> Server:
    """Both of them, one after the other."""
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def arrive(db: None) -> Callable[[Server], Person]:
    """Somebody who may do everything, logged in at a server."""

    def log_in(server: Server) -> Person:
        making.user("mira", "*")
        person = Person(server.url)
        person.log_in()
        return person

    return log_in


@pytest.fixture
def differing(environments: Environments) -> Environments:
    """Ten tags and ten products that only the source has."""
    for number in range(CREATES // 2):
        environments.add(Tag, name=f"tag {number}", only="source")
        environments.add(Product, sku=f"sku-{number}", name="Boots", only="source")
    return environments
