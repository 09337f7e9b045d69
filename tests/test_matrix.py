"""Roles × URLs × verbs: the URLs are those of the URLconf, the expectations are written by hand in tests/matrix.py.

What people may is asked at the services again, on every database; who gets what from a URL is asked on SQLite alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse

from data_sync.models import Change, Comment, Viewing
from data_sync.services import source_checks
from tests.admin import making

from .matrix import ENDPOINTS, OUTSIDE, ROWS, STAFF, Cell, Scene

pytestmark = [pytest.mark.django_db, pytest.mark.no_database]

TOKEN = "t" * 32
VERBS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE")


def names(namespace: str) -> set[str]:
    """The names of a namespace's URLs, as the URLconf has them; nameless ones by their pattern."""
    resolvers: list[tuple[str, URLResolver]] = [("", get_resolver())]
    found = set()
    while resolvers:
        inside, resolver = resolvers.pop()
        for pattern in resolver.url_patterns:
            if isinstance(pattern, URLResolver):
                resolvers.append((pattern.namespace or inside, pattern))
            elif inside == namespace:
                found.add(pattern.name or str(pattern.pattern))
    return found


def test_every_url_is_in_the_table_and_the_table_has_no_other() -> None:
    ours = {name.removeprefix("data_sync_") for name in names("admin") if name.startswith("data_sync_")}
    assert ours == set(ROWS)
    assert names("data_sync") == set(ENDPOINTS)


def test_of_the_stock_pages_none_is_left_but_lists() -> None:
    """They would show columns that our pages do not, and take forms of their own."""
    admin = next(one for one in get_resolver().url_patterns if getattr(one, "app_name", "") == "admin")
    ours = [one for one in admin.url_patterns if str(one.pattern).startswith("data_sync/")]  # type: ignore[union-attr]
    assert len(ours) == 6
    for model in ours:
        assert not [str(one.pattern) for one in model.url_patterns if "object_id" in str(one.pattern)]


@pytest.fixture
def scene(tmp_path: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Scene:
    settings.MEDIA_ROOT = tmp_path / "media"
    monkeypatch.setattr(source_checks, "check_source", lambda source: [])
    return Scene(tmp_path / "media")


def client_of(role: str) -> Client:
    """Logged in as this role, with a CSRF cookie."""
    client = Client(enforce_csrf_checks=True)
    client.cookies["csrftoken"] = TOKEN
    match role:
        case "anonymous" | "key holder":
            return client
        case "inactive":
            client.force_login(get_user_model().objects.create_superuser(role, is_active=False))
        case "customer":
            person = get_user_model().objects.create_user(role)
            person.user_permissions.set(Permission.objects.all())
            client.force_login(person)
        case _:
            client.force_login(making.user(role, *STAFF[role]))
    return client


def answered(client: Client, verb: str, url: str, data: dict[str, Any], headers: dict[str, str]) -> Any:
    """The answer to one request, whose consequences are taken back."""
    with taken_back():
        answer = (
            client.post(url, data, headers=headers) if verb == "POST" else client.generic(verb, url, headers=headers)
        )
        read(answer)
    return answer


@contextmanager
def taken_back() -> Iterator[None]:
    # Not by `atomic`, within which a durable transaction is refused.
    savepoint = transaction.savepoint()
    yield
    transaction.savepoint_rollback(savepoint)


def read(answer: Any) -> None:
    """Reads a streamed answer to its end: what it does, it does while it is read."""
    if answer.streaming:
        b"".join(answer)


def expected(role: str, cell: Cell) -> int:
    if role in OUTSIDE:
        return 302
    return cell.status if role in cell.roles else 403


@pytest.mark.parametrize("name", sorted(ROWS))
def test_each_role_gets_from_each_url_what_the_table_says(scene: Scene, name: str) -> None:
    row = ROWS[name]
    url = reverse(f"admin:data_sync_{name}", args=scene.path(row.path))
    data = {key: scene.arguments.get(value, value) for key, value in row.data.items()}
    post = row.post or row.get
    wrong = []
    for role in (*OUTSIDE, *STAFF):
        client = client_of(role)
        headers = {"Authorization": f"Bearer {scene.key_text}"} if role == "key holder" else {}
        for verb in VERBS:
            if verb in ("GET", "HEAD"):
                want = expected(role, row.get)
            elif verb == "OPTIONS":
                want = 405 if row.is_form_only and role in STAFF else expected(role, row.get)
            else:
                want = 403  # No CSRF token.
            got = answered(client, verb, url, data, headers)
            if got.status_code != want:
                wrong.append((role, verb, want, got.status_code))
            if want == 302 and role in OUTSIDE and not got["Location"].startswith(reverse("admin:login")):
                wrong.append((role, verb, "login", got["Location"]))
        tokens = {"X-CSRFToken": TOKEN}
        for verb in ("POST", "PUT", "DELETE"):
            want = expected(role, post if verb == "POST" else row.get)
            if verb != "POST" and row.is_form_only and role in STAFF:
                want = 405
            got = answered(client, verb, url, data, headers | tokens)
            if got.status_code != want:
                wrong.append((role, f"{verb} with a token", want, got.status_code))
    assert wrong == []


@pytest.mark.parametrize("name", sorted(ENDPOINTS))
def test_endpoints_take_a_token_and_know_no_session(scene: Scene, name: str) -> None:
    endpoint = ENDPOINTS[name]
    url = reverse(f"data_sync:{name}", args=endpoint.path)
    wrong = []
    for role in (*OUTSIDE, *STAFF):
        client = client_of(role)
        headers = {"Authorization": f"Bearer {scene.key_text}"} if role == "key holder" else {}
        for verb in VERBS:
            want = 405 if verb != endpoint.method else endpoint.status if role == "key holder" else 401
            with taken_back():
                # No CSRF token anywhere, which no endpoint asks for.
                got = client.generic(verb, url, endpoint.body, "application/json", headers=headers)
                read(got)
            if got.status_code != want or got.cookies:
                wrong.append((role, verb, want, got.status_code, got.cookies))
    assert wrong == []


# Reading changes nothing


def dump() -> dict[str, list[Any]]:
    """Every row of every table, but sessions and what logging in leaves."""
    tables = sorted(set(connection.introspection.table_names()) - {"django_session", "auth_user"})
    found = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found[table] = sorted(map(repr, cursor.fetchall()))
    return found


@pytest.mark.parametrize("verb", ["GET", "HEAD", "OPTIONS"])
def test_no_page_changes_anything_when_it_is_read(scene: Scene, verb: str) -> None:
    client = client_of("superuser")
    before = dump()
    for name, row in ROWS.items():
        answer = client.generic(verb, reverse(f"admin:data_sync_{name}", args=scene.path(row.path)))
        read(answer)
        assert dump() == before, name


def test_a_page_that_is_only_read_changes_nothing_either_when_a_form_is_sent_to_it(scene: Scene) -> None:
    client = client_of("superuser")
    before = dump()
    everything = {key: value for row in ROWS.values() for key, value in row.data.items()}
    for name, row in ROWS.items():
        if row.post is None:
            url = reverse(f"admin:data_sync_{name}", args=scene.path(row.path))
            answer = client.post(url, everything, headers={"X-CSRFToken": TOKEN})
            read(answer)
            assert dump() == before, name


def test_reading_by_key_notes_who_read_and_nothing_else(scene: Scene) -> None:
    before = dump()
    for name, endpoint in ENDPOINTS.items():
        if endpoint.method == "GET":
            url = reverse(f"data_sync:{name}", args=endpoint.path)
            answer = Client().get(url, headers={"Authorization": f"Bearer {scene.key_text}"})
            read(answer)
    after = dump()
    noted = {table for table in after if after[table] != before[table]}
    assert noted <= {"data_sync_export_key", "data_sync_file_checksum", "data_sync_event"}, noted


# Nested numbers go through their parent


def test_a_change_of_another_changeset_is_not_there(scene: Scene) -> None:
    client = client_of("superuser")
    pending, other = scene.arguments["pending"], scene.arguments["other"]
    assert Change.objects.filter(changeset=other, number=11).exists()

    def post(name: str, **data: Any) -> Any:
        url = reverse(f"admin:data_sync_changeset_{name}", args=(pending,))
        return client.post(url, data, headers={"X-CSRFToken": TOKEN, "Accept": "application/json"})

    before = dump()
    assert post("viewed", number="11", viewed="1").status_code == 404
    assert post("comment", number="11", comment="Hello").status_code == 404
    assert post("decide", number="11", decide="accepted", revision="0").status_code == 400
    for name in ("file", "thumbnail"):
        for number, field in ((11, "cover"), (3, "attachment"), (1, "cover"), (99, "cover")):
            url = reverse(f"admin:data_sync_changeset_{name}", args=(pending, number, field, "before"))
            assert client.get(url).status_code == 404
        for field, side in (("cover", "after"), ("cover", "name"), ("name", "before"), ("__class__", "before")):
            url = reverse(f"admin:data_sync_changeset_{name}", args=(pending, 3, field, side))
            assert client.get(url).status_code == 404, (field, side)
        there = reverse(f"admin:data_sync_changeset_{name}", args=(other, 3, "cover", "before"))
        assert client.get(there).status_code == 404
    assert dump() == before
    assert not Comment.objects.exists() and not Viewing.objects.exists()


@pytest.mark.parametrize("name", sorted(name for name in ROWS if ROWS[name].path))
def test_what_is_not_there_is_404(scene: Scene, name: str) -> None:
    row = ROWS[name]
    url = reverse(f"admin:data_sync_{name}", args=[987_654, *scene.path(row.path)[1:]])
    client = client_of("superuser")
    before = dump()
    if not row.is_form_only:
        assert client.get(url).status_code == 404
    answer = client.post(url, row.data, headers={"X-CSRFToken": TOKEN})
    # Some say so on the next page, which is 404 then.
    assert answer.status_code == 404 or client.get(answer["Location"]).status_code == 404
    assert dump() == before
