"""Requests of any form: each gets an answer that was meant, never an error of the server's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client, override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_sync.core.errors import DataSyncError
from data_sync.core.wire import StreamReader
from data_sync.services import callers
from tests.core.strategies import values
from tests.sources.test_fuzz import ASKED, mutants
from tests.testapp.models import Country, Tag

pytestmark = pytest.mark.django_db
TOKEN = "a-token-of-more-than-thirty-two-characters"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
MEANT = {200, 206, 400, 401, 403, 404, 409, 413, 416}
fuzz = settings(deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
handles = st.integers() | st.integers(2**62, 2**70) | st.sampled_from([10**400, -(10**999), True, 1.5, None]) | texts


@pytest.fixture(autouse=True)
def rows(settings: Any, tmp_path: Path) -> None:
    settings.DATA_SYNC_EXPORT_TOKEN = TOKEN
    settings.DATA_SYNC_SPOOL_DIR = tmp_path
    Tag.objects.create(name="a")
    Country.objects.create(code="FR")


def answer(response: Any) -> bytes:
    assert response.status_code in MEANT
    return b"".join(response.streaming_content) if response.streaming else response.content


@fuzz
@given(mutants(ASKED) | st.binary(max_size=60))
def test_any_body(body: bytes) -> None:
    answer(Client().post("/api/data_sync/records", body, "application/json", headers=HEADERS))


@fuzz
@given(st.sampled_from(["testapp.tag", "testapp.country"]), st.lists(handles, max_size=4))
def test_any_handles(label: str, asked: list[Any]) -> None:

    body = json.dumps({"model": label, "handles": asked})
    response = Client().post("/api/data_sync/records", body, "application/json", headers=HEADERS)
    found = answer(response)
    if response.status_code == 200:
        assert len([line for some in StreamReader([found], [label]) for line in some]) <= 1


@fuzz
@given(st.sampled_from(["testapp.tag", "testapp.country"]), st.lists(st.lists(values, max_size=3), max_size=3))
def test_any_keys_outside(label: str, asked: list[Any]) -> None:

    body = json.dumps({"model": label, "outside": asked})
    answer(Client().post("/api/data_sync/records", body, "application/json", headers=HEADERS))


@fuzz
@given(st.sampled_from(["manifest", "export", "digests"]), st.dictionaries(st.sampled_from(["models", "omit"]), texts))
def test_any_query(path: str, query: dict[str, str]) -> None:
    answer(Client().get(f"/api/data_sync/{path}", query, headers=HEADERS))


@fuzz
@given(texts.filter(lambda text: text.strip("./") and "\n" not in text), texts)
def test_any_file(checksum: str, asked: str) -> None:

    headers = {**HEADERS, "Range": asked, "Accept-Encoding": asked}
    answer(Client().get(f"/api/data_sync/files/{quote(checksum)}", headers=headers))


@fuzz
@given(texts | mutants([f"Bearer ds_0123456789ab.{'a' * 43}".encode()]).map(lambda text: text.decode("latin-1")))
@override_settings(DATA_SYNC_FAILURE_LIMIT=1_000_000)
def test_no_other_authorization_is_one(header: str) -> None:
    try:
        assert callers.authenticate(header) is None
    except DataSyncError:
        pytest.fail("a refusal says nothing")
    assert Client().get("/api/data_sync/manifest", headers={"Authorization": header}).status_code == 401
