"""RELIABILITY 1, 3, 12, 17, 18: what a holder of an export key gets, and what everyone else gets."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.files.base import ContentFile
from django.db import OperationalError, connection
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from data_sync import sending, views
from data_sync.core import canonical
from data_sync.core.digests import DigestReader, Entry
from data_sync.core.errors import DuplicateKey, RecordError, SourceUnavailable, WrongFile
from data_sync.core.listing import key_hash
from data_sync.core.records import Record, split_line
from data_sync.core.source import Request
from data_sync.core.wire import StreamReader
from data_sync.models import ExportKey, FileChecksum
from data_sync.orm.read import LocalSource
from data_sync.services import export, keys
from data_sync.services.actors import command_line
from data_sync.sources.http import HttpSource
from tests.testapp.models import Copy, Country, Language, Page

PREFIX = "/api/data_sync"
BYTES = b"\x89PNG" + bytes(range(256)) * 1000
CHECKSUM = hashlib.sha256(BYTES).hexdigest()
PATHS = [f"{PREFIX}/manifest", f"{PREFIX}/export", f"{PREFIX}/files/{CHECKSUM}", f"{PREFIX}/digests"]
OF_MODELS = [PATHS[0], PATHS[1], PATHS[3]]
RECORDS = f"{PREFIX}/records"


@pytest.fixture(autouse=True)
def places(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.DATA_SYNC_SPOOL_DIR = tmp_path / "spool"
    settings.DATA_SYNC_SPOOL_DIR.mkdir()
    return tmp_path


def bearer(*labels: str) -> dict[str, str]:
    number = ExportKey.objects.count()
    _, text = keys.create_key(f"Key {number}", command_line(), model_labels=labels)
    return {"Authorization": f"Bearer {text}"}


def make_rows(count: int = 3) -> Copy:
    language = Language.objects.create(code="fr", country=Country.objects.create(code="FR"))
    for number in range(count):
        copy = Copy(language=language, key=f"k{number}", value=f"v{number}", default="not exported")
        if number == 0:
            copy.thumbnail.save("boots.png", ContentFile(BYTES))
        copy.save()
    return Copy.objects.get(key="k0")


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


def pulled(headers: dict[str, str]) -> dict[str, str]:
    """The same headers, after an export with them: what makes files known."""
    body(Client().get(PATHS[1], headers=headers))
    return headers


def sentence(response: Any) -> str:
    assert response["Content-Type"] == "application/json"
    document = json.loads(response.content)
    assert list(document) == ["error"]
    return str(document["error"])


def records(stream: bytes, models: list[str]) -> list[Record]:
    return [split_line(line.decode()).record() for lines in StreamReader([stream], models) for _, line in lines]


def entries(listing: bytes, models: list[str]) -> list[tuple[str, Entry]]:
    return [(label, entry) for label, some in DigestReader([listing], models) for entry in some]


def post(document: Any, headers: dict[str, str], client: Any = None) -> Any:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return (client or Client()).post(RECORDS, content, content_type="application/json", headers=headers)


# Who is let in.


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
def test_without_a_good_key_there_is_one_answer_whatever_is_wrong(path: str) -> None:
    make_rows(1)
    key, text = keys.create_key("Revoked", command_line())
    keys.revoke_key(key, command_line())
    forms = [
        None,
        "",
        "Bearer",
        "Basic eDp5",
        "Bearer x",
        f"Bearer {text}",
        f"Bearer {key.prefix}.{'A' * 43}",
        "Bearer \xff",
    ]
    answers = set()
    for form in forms:
        response = Client().get(path, headers={} if form is None else {"Authorization": form})
        assert response.status_code == 401
        answers.add((body(response), tuple(sorted(response.items()))))
    ((content, headers),) = answers
    assert dict(headers)["WWW-Authenticate"].startswith("Bearer")
    assert json.loads(content)["error"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
def test_a_person_s_session_opens_nothing(path: str) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    assert client.get(path).status_code == 401


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "head", "options"])
def test_only_get_is_answered_and_without_csrf_token(path: str, method: str) -> None:
    response = getattr(Client(enforce_csrf_checks=True), method)(path, headers=bearer())
    assert response.status_code == 405
    assert response["Allow"] == "GET"


@pytest.mark.django_db
def test_no_cookie_is_read_or_set_and_nothing_is_cached_or_guessed_at(settings: Any) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.endswith(".SecurityMiddleware")]
    make_rows()
    headers = bearer()
    for path in PATHS:
        client = Client()
        client.cookies["sessionid"] = "f" * 32
        with CaptureQueriesContext(connection) as queries:
            response = client.get(path, headers=headers)
            body(response)
        assert response.status_code == 200
        assert not any("session" in query["sql"] for query in queries)
        assert not response.cookies
        assert "Cookie" not in response.get("Vary", "")
        assert response["Cache-Control"] == "no-store"
        assert response["X-Content-Type-Options"] == "nosniff"
    assert not Session.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
def test_a_project_that_asks_everyone_to_log_in_does_not_ask_keys(path: str, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    make_rows()
    response = Client().get(path, headers=pulled(bearer()))
    assert response.status_code == 200
    body(response)


@pytest.mark.parametrize("view", [views.manifest, views.stream, views.file, views.digests, views.records])
def test_requests_are_not_in_one_transaction(view: Any) -> None:
    assert view._non_atomic_requests == {"default"}


# What a key reads.


@pytest.mark.django_db
def test_each_key_sees_the_manifest_and_the_rows_of_its_models_only() -> None:
    make_rows()
    every = list(LocalSource().manifest().models)
    for labels in ((), ("testapp.country",), ("testapp.copy", "testapp.country")):
        headers = bearer(*labels)
        seen = [label for label in every if label in labels or not labels]
        document = json.loads(body(Client().get(PATHS[0], headers=headers)))
        assert list(document["models"]) == sorted(seen)
        response = Client().get(PATHS[1], headers=headers)
        assert {record.model for record in records(body(response), seen)} <= set(seen)
        for label in every:
            expected = 200 if label in seen else 403
            for path in OF_MODELS:
                response = Client().get(path, {"models": label}, headers=headers)
                body(response)
                assert response.status_code == expected


@pytest.mark.django_db
def test_only_registered_fields_leave() -> None:
    make_rows()
    response = Client().get(PATHS[1], {"models": "testapp.copy"}, headers=bearer())
    content = body(response)
    assert b"not exported" not in content
    assert {name for record in records(content, ["testapp.copy"]) for name in record.fields} == {
        "value",
        "key",
        "language",
    }
    manifest = json.loads(body(Client().get(PATHS[0], headers=bearer())))["models"]["testapp.copy"]
    assert sorted(manifest["fields"]) == ["key", "language", "value"]
    assert manifest["count"] == 3


@pytest.mark.django_db
def test_models_come_in_the_order_asked_for() -> None:
    make_rows()
    asked = ["testapp.copy", "testapp.country"]
    response = Client().get(PATHS[1], {"models": ",".join(asked)}, headers=bearer())
    assert [record.model for record in records(body(response), asked)] == ["testapp.copy"] * 3 + ["testapp.country"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("models", "status", "words"),
    [
        ("testapp.nothing", 404, "'testapp.nothing' is not registered"),
        ("auth.user", 404, "'auth.user' is not registered"),
        ("testapp.Country", 404, "not registered"),
        ("testapp.language", 403, "may not read testapp.language"),
        ("testapp.country,testapp.language", 403, "may not read testapp.language"),
        ("", 400, "comma-separated list"),
        ("testapp.country,", 400, "comma-separated list"),
        ("testapp.country,testapp.country", 400, "named twice"),
        ("x" * 5000, 404, "not registered"),
    ],
)
@pytest.mark.parametrize("path", OF_MODELS)
def test_models_that_cannot_be_read_are_refused_by_name(path: str, models: str, status: int, words: str) -> None:
    response = Client().get(path, {"models": models}, headers=bearer("testapp.country"))
    assert response.status_code == status
    assert words in sentence(response)
    assert len(sentence(response)) < 400


# How it is sent.


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("accepts", "zipped"),
    [
        ("", False),
        ("identity", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5, br", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("br, x-gzip", False),
    ],
)
def test_the_export_is_compressed_where_the_reader_takes_it(accepts: str, zipped: bool) -> None:
    make_rows(200)
    response = Client().get(PATHS[1], headers={**bearer(), "Accept-Encoding": accepts})
    sent = body(response)
    assert response["Content-Length"] == str(len(sent))
    assert response["Content-Type"] == "application/x-ndjson"
    assert response["Vary"] == "Accept-Encoding"
    assert response.has_header("Content-Encoding") is zipped
    stream = gzip.decompress(sent) if zipped else sent
    labels = list(LocalSource().manifest().models)
    assert len(records(stream, labels)) == 202
    assert not zipped or len(sent) < len(stream) / 3


@pytest.mark.django_db
def test_gzip_middleware_changes_neither_bytes_nor_length(settings: Any) -> None:
    settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware", *settings.MIDDLEWARE]
    make_rows(200)
    headers = {**bearer(), "Accept-Encoding": "gzip"}
    export_ = Client().get(PATHS[1], headers=headers)
    assert gzip.decompress(body(export_)).startswith(b'{"format":"data-sync-export"')
    file = Client().get(PATHS[2], headers=headers)
    assert body(file) == BYTES
    assert file["Content-Length"] == str(len(BYTES))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RecordError("Row 7 is odd."), 409),
        (DuplicateKey("Two rows."), 409),
        (OSError(28, "No space left on device"), 503),
        (OperationalError("canceling statement: row (7, secret)"), 503),
    ],
)
@pytest.mark.parametrize("when", ["at once", "after many rows"])
@pytest.mark.parametrize("what", ["stream", "digests", "records"])
def test_an_error_while_reading_is_a_status_and_never_a_cut_body(
    error: Exception, status: int, when: str, what: str, monkeypatch: pytest.MonkeyPatch, places: Path
) -> None:
    @contextmanager
    def read(self: LocalSource, *asked: Any) -> Iterator[Iterator[bytes]]:
        def blocks() -> Iterator[bytes]:
            if when == "after many rows":
                yield from [b"x" * 65536] * 50
            raise error

        yield blocks()

    monkeypatch.setattr(LocalSource, what, read)
    if what == "records":
        response = post({"model": "testapp.copy", "handles": [1]}, bearer())
    else:
        response = Client().get(PATHS[1 if what == "stream" else 3], headers=bearer())
    assert response.status_code == status
    assert not response.streaming
    words = {409: str(error), 503: getattr(error, "strerror", None) or type(error).__name__}[status]
    assert words in sentence(response)
    assert "secret" not in sentence(response)
    assert open_spools(places) == []


def open_spools(places: Path) -> list[str]:
    """The temporary files of the spool directory that this process still holds: they have no name any more."""
    held = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
        if target.startswith(str(places / "spool")):
            held.append(target)
    return held


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="looks at open files by way of /proc")
def test_a_spool_has_no_name_and_goes_with_the_reader(places: Path) -> None:
    make_rows(500)
    headers = bearer()
    asked = {"handles": list(Copy.objects.values_list("pk", flat=True)), "model": "testapp.copy"}
    requests = [
        (views.stream, RequestFactory().get("/", headers=headers), {}),
        (views.file, RequestFactory().get("/", headers=headers), {"checksum": CHECKSUM}),
        (views.digests, RequestFactory().get("/", headers=headers), {}),
        (views.records, RequestFactory().post("/", asked, content_type="application/json", headers=headers), {}),
    ]
    for view, request, arguments in requests:
        response: Any = view(request, **arguments)
        assert response.status_code == 200
        assert os.listdir(places / "spool") == []
        assert len(open_spools(places)) == 1
        next(iter(response.streaming_content))
        response.close()  # What the server calls when the reader goes away.
        assert open_spools(places) == []


@pytest.mark.django_db
def test_a_spool_directory_that_is_missing_is_a_503(settings: Any, places: Path) -> None:
    settings.DATA_SYNC_SPOOL_DIR = places / "nowhere"
    headers = bearer()
    for response in (
        Client().get(PATHS[1], headers=headers),
        Client().get(PATHS[3], headers=headers),
        post({"handles": [], "model": "testapp.copy"}, headers),
    ):
        assert response.status_code == 503
        assert str(places) not in sentence(response)


@pytest.mark.django_db(transaction=True)
def test_the_snapshot_has_ended_before_anything_is_sent() -> None:
    make_rows(50)
    response = Client().get(PATHS[1], {"models": "testapp.copy"}, headers=bearer())
    assert not connection.in_atomic_block
    Copy.objects.update(value="changed while the reader is slow")
    assert b"changed" not in body(response)


# Files.


@pytest.mark.django_db
def test_a_file_is_sent_by_its_checksum() -> None:
    make_rows()
    headers = pulled(bearer("testapp.copy"))
    response = Client().get(PATHS[2], headers=headers)
    assert response.status_code == 200
    assert body(response) == BYTES
    assert response["Content-Length"] == str(len(BYTES))
    assert response["Content-Type"] == "application/octet-stream"
    assert response["ETag"] == f'"{CHECKSUM}"'
    assert response["Content-Disposition"] == "attachment"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, len(BYTES) - 1),
        ("bytes=10-19", 10, 19),
        ("bytes=100-", 100, len(BYTES) - 1),
        ("bytes=100-99999999", 100, len(BYTES) - 1),
        ("bytes=-5", len(BYTES) - 5, len(BYTES) - 1),
        ("bytes=-99999999", 0, len(BYTES) - 1),
        (f"bytes={len(BYTES) - 1}-", len(BYTES) - 1, len(BYTES) - 1),
    ],
)
def test_one_range_is_sent(asked: str, first: int, last: int) -> None:
    make_rows()
    headers = pulled(bearer())
    response = Client().get(PATHS[2], headers={**headers, "Range": asked})
    assert body(response) == BYTES[first : last + 1]
    assert response["Content-Length"] == str(last - first + 1)
    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes {first}-{last}/{len(BYTES)}"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "asked", [f"bytes={len(BYTES)}-", "bytes=999999999-", "bytes=-0", f"bytes={len(BYTES)}-{len(BYTES)}"]
)
def test_a_range_outside_the_file_is_a_416(asked: str) -> None:
    make_rows()
    headers = pulled(bearer())
    response = Client().get(PATHS[2], headers={**headers, "Range": asked})
    assert response.status_code == 416
    assert response["Content-Range"] == f"bytes */{len(BYTES)}"
    assert str(len(BYTES)) in sentence(response)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "extra",
    [
        {"Range": "bytes=0-1,3-4"},
        {"Range": "bytes=5-2"},
        {"Range": "bytes=-"},
        {"Range": "lines=0-1"},
        {"Range": "bytes=a-b"},
        {"Range": "bytes=" + "9" * 40 + "-"},
        {"Range": "bytes=0-1", "If-Range": '"another"'},
        {"Range": "bytes=0-1", "If-Range": "Tue, 01 Jan 2030 00:00:00 GMT"},
    ],
)
def test_a_range_of_another_kind_gets_the_whole_file(extra: dict[str, str]) -> None:
    make_rows()
    headers = pulled(bearer())
    response = Client().get(PATHS[2], headers={**headers, **extra})
    assert response.status_code == 200
    assert body(response) == BYTES


def change_name(copy: Copy) -> None:
    Copy.objects.filter(pk=copy.pk).update(thumbnail="")


def delete_row(copy: Copy) -> None:
    copy.delete()


def delete_file(copy: Copy) -> None:
    copy.thumbnail.storage.delete(copy.thumbnail.name)


def overwrite(copy: Copy) -> None:
    Path(copy.thumbnail.path).write_bytes(b"other bytes")


def overwrite_unseen(copy: Copy) -> None:
    """The same size and modified time: only hashing again finds it."""
    path = Path(copy.thumbnail.path)
    times = path.stat()
    path.write_bytes(BYTES[::-1])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.django_db
@pytest.mark.parametrize("loss", [change_name, delete_row, delete_file, overwrite, overwrite_unseen])
def test_a_file_that_no_row_has_any_more_is_a_404_with_a_sentence(loss: Callable[[Copy], None]) -> None:
    copy = make_rows()
    headers = pulled(bearer())
    assert FileChecksum.objects.filter(checksum=CHECKSUM).exists()
    loss(copy)
    response = Client().get(PATHS[2], headers=headers)
    assert response.status_code == 404
    assert "Pull again" in sentence(response)


@pytest.mark.django_db
def test_a_key_gets_no_file_of_a_model_it_may_not_read() -> None:
    make_rows()
    pulled(bearer())
    response = Client().get(PATHS[2], headers=bearer("testapp.country", "testapp.language"))
    assert response.status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize(
    "checksum",
    [
        "%00" * 64,
        CHECKSUM.upper(),
        CHECKSUM[:-1],
        CHECKSUM + "0",
        "..",
        "%2e%2e%2fsettings.py",
        "é",
        "sha256:" + CHECKSUM,
    ],
)
def test_what_is_no_checksum_of_ours_is_a_404(checksum: str) -> None:
    make_rows()
    headers = pulled(bearer())
    response = Client().get(f"{PREFIX}/files/{checksum}", headers=headers)
    assert response.status_code == 404
    assert "%2f" in checksum or "SHA-256 in 64" in sentence(response)


# Digests, and the records behind them.


@pytest.mark.django_db
def test_the_digests_are_those_of_the_exported_records() -> None:
    make_rows()
    headers, models = bearer(), ["testapp.copy", "testapp.country"]
    asked = {"models": ",".join(models), "omit": "testapp.copy.value,testapp.copy.thumbnail"}
    exported = records(body(Client().get(PATHS[1], asked, headers=headers)), models)
    response = Client().get(PATHS[3], asked, headers={**headers, "Accept-Encoding": "gzip"})
    listing = body(response)
    assert response["Content-Length"] == str(len(listing))
    assert response["Content-Encoding"] == "identity"
    assert [(label, key, digest.hex()) for label, (key, digest, _) in entries(listing, models)] == [
        (record.model, key_hash(record.key_text.encode()), record.digest()[7:39]) for record in exported
    ]
    assert "value" not in exported[0].fields and not exported[0].files


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("omit", "words"),
    [
        ("testapp.copy.key", "cannot be synced without key"),
        ("testapp.copy.language", "cannot be synced without language"),
        ("testapp.copy.nothing", "no synced field 'nothing'"),
        ("testapp.copy.default", "no synced field 'default'"),
        ("testapp.copy.", "no synced field ''"),
        ("testapp.country.code", "is none"),
        ("auth.user.password", "is none"),
        ("value", "is none"),
        ("", "comma-separated list"),
        ("testapp.copy.value,", "comma-separated list"),
        ("x" * 5000, "is none"),
        ("testapp.copy." + "x" * 5000, "no synced field"),
    ],
)
@pytest.mark.parametrize("path", [PATHS[1], PATHS[3]])
def test_fields_that_cannot_be_left_out_are_a_400(path: str, omit: str, words: str) -> None:
    response = Client().get(path, {"models": "testapp.copy", "omit": omit}, headers=bearer())
    assert response.status_code == 400
    assert words in sentence(response)
    assert len(sentence(response)) < 500


@pytest.mark.django_db
@pytest.mark.parametrize("accepts", ["", "gzip"])
def test_records_are_sent_by_their_handles(accepts: str) -> None:
    make_rows()
    headers, models = bearer("testapp.copy"), ["testapp.copy"]
    listing = body(Client().get(PATHS[3], {"models": "testapp.copy"}, headers=headers))
    handles = [handle for _, (_, _, handle) in entries(listing, models)]
    asked = {"model": "testapp.copy", "handles": [handles[2], handles[0], 10**25], "omit": ["value"]}
    response = post(asked, {**headers, "Accept-Encoding": accepts}, Client(enforce_csrf_checks=True))
    assert response.status_code == 200
    sent = body(response)
    assert response["Content-Length"] == str(len(sent))
    assert response["Content-Type"] == "application/x-ndjson"
    assert response["Vary"] == "Accept-Encoding"
    found = records(gzip.decompress(sent) if accepts else sent, models)
    assert {record.key[2] for record in found} == {"k0", "k2"}
    assert all(record.fields == {"key": record.key[2], "language": ["FR", "fr"]} for record in found)


@pytest.mark.django_db
def test_keys_outside_of_the_scope_are_told() -> None:
    Page.objects.create(slug="in")
    Page.objects.create(slug="out", published=False)
    response = post({"model": "testapp.page", "outside": [["out"], ["in"], ["nowhere"], [], [1, None]]}, bearer())
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert json.loads(body(response)) == {"outside": [["out"]]}


RUBBISH: list[tuple[Any, int, str]] = [
    (b"", 400, "not JSON"),
    (b"{", 400, "not JSON"),
    (b"\xff", 400, "not UTF-8"),
    (b'{"model":"testapp.page","model":"testapp.page","handles":[]}', 400, "occurs twice"),
    (b'{"model":"testapp.page","handles":[1e999]}', 400, "not JSON"),
    (b"[" * 100_000, 400, "not JSON"),
    ([], 400, "The body is an object"),
    (None, 400, "The body is an object"),
    ({}, 400, "The body is an object"),
    ({"model": "testapp.page"}, 400, "The body is an object"),
    ({"model": ["testapp.page"], "handles": []}, 400, "The body is an object"),
    ({"model": "testapp.page", "handles": {}}, 400, "The body is an object"),
    ({"model": "testapp.page", "handles": [], "more": 1}, 400, "The body is an object"),
    ({"model": "testapp.page", "handles": [], "outside": []}, 400, "The body is an object"),
    ({"model": "testapp.page", "outside": [], "omit": []}, 400, "The body is an object"),
    ({"model": "testapp.page", "handles": [1], "omit": "title"}, 400, "omit is a list"),
    ({"model": "testapp.page", "handles": [1], "omit": [1]}, 400, "omit is a list"),
    ({"model": "testapp.page", "handles": [1], "omit": ["nothing"]}, 400, "no synced field 'nothing'"),
    ({"model": "testapp.page", "handles": [1], "omit": ["slug"]}, 400, "cannot be synced without slug"),
    ({"model": "testapp.page", "handles": ["1"]}, 400, "'1' is no handle"),
    ({"model": "testapp.page", "handles": ["x" * 5000]}, 400, "is no handle"),
    ({"model": "testapp.page", "handles": [True]}, 400, "integers or texts"),
    ({"model": "testapp.page", "handles": [None]}, 400, "integers or texts"),
    ({"model": "testapp.page", "handles": [[1]]}, 400, "integers or texts"),
    ({"model": "testapp.page", "handles": [1.5]}, 400, "integers or texts"),
    ({"model": "testapp.page", "handles": [1] * 5001}, 400, "At most 5000"),
    ({"model": "testapp.page", "outside": [["a"]] * 5001}, 400, "At most 5000"),
    ({"model": "testapp.page", "outside": ["a"]}, 400, "a list of its parts"),
    ({"model": "testapp.nothing", "handles": [1]}, 404, "not registered"),
    ({"model": "testapp.nothing", "outside": []}, 404, "not registered"),
    ({"model": "testapp.page,testapp.tag", "handles": [1]}, 404, "not registered"),
    ({"model": "testapp.tag", "handles": [1]}, 403, "may not read testapp.tag"),
    ({"model": "testapp.tag", "outside": [["a"]]}, 403, "may not read testapp.tag"),
    (b" " * (1 << 20) + b"{}", 413, "ask for fewer rows"),
    (b" " * (1 << 23), 413, "ask for fewer rows"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("asked", "status", "words"), RUBBISH)
def test_what_cannot_be_answered_is_refused_with_a_sentence(asked: Any, status: int, words: str) -> None:
    Page.objects.create(slug="in")
    response = post(asked, bearer("testapp.page"))
    assert response.status_code == status
    assert words in sentence(response)
    assert len(sentence(response)) < 400


@pytest.mark.django_db
def test_a_body_is_read_whatever_a_project_takes_elsewhere(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    response = post({"model": "testapp.page", "handles": list(range(5000))}, bearer())
    assert response.status_code == 200
    body(response)


@pytest.mark.django_db
def test_a_body_that_is_longer_than_it_says_or_says_nothing_is_cut_off(places: Path) -> None:
    request = RequestFactory().post("/", b" " * (1 << 21), content_type="application/json", headers=bearer())
    del request.META["CONTENT_LENGTH"]
    request.META["wsgi.input"] = request._stream = io.BytesIO(b" " * (1 << 21))  # type: ignore[attr-defined]
    response: Any = views.records(request)
    assert response.status_code == 413


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "options"])
def test_records_are_asked_for_by_post_only(method: str) -> None:
    response = getattr(Client(), method)(RECORDS, headers=bearer())
    assert response.status_code == 405
    assert response["Allow"] == "POST"


@pytest.mark.django_db
def test_records_want_a_key_too_before_anything_is_read() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    for asked in ({"model": "testapp.page", "handles": []}, b" " * (1 << 21), b"rubbish"):
        response = post(asked, {}, client)
        assert response.status_code == 401
        assert response["Cache-Control"] == "no-store"


# Both ends together.


@pytest.mark.django_db(transaction=True)
def test_what_is_served_is_what_http_source_reads(live_server: Any, settings: Any) -> None:
    settings.DATA_SYNC_ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
    make_rows(2500)
    _, key = keys.create_key("Staging", command_line(), model_labels=["testapp.copy", "testapp.country"])
    source = HttpSource(f"{live_server.url}/api", key)
    local = LocalSource(["testapp.copy", "testapp.country"])
    assert source.manifest() == local.manifest()
    models = ["testapp.country", "testapp.copy"]
    request = Request(models=tuple(models), omitted={"testapp.copy": ["value"]})
    with source.stream(request) as blocks, local.stream(request) as same:
        assert b"".join(blocks) == b"".join(same)
    with source.digests(request) as blocks:
        listed = list(DigestReader(blocks, models))
    handles = [handle for label, some in listed for _, _, handle in some if label == "testapp.copy"]
    assert len(handles) == 2500
    only = request.only("testapp.copy")
    with source.records(only, handles) as blocks, local.records(only, handles) as same:
        found = b"".join(blocks)
        assert found == b"".join(same)
    assert len(records(found, ["testapp.copy"])) == 2500
    assert source.outside("testapp.copy", ['["FR","fr","k1"]']) == set()
    with pytest.raises(SourceUnavailable, match=r"no synced field 'nothing'"):
        source.digests(Request(models=("testapp.copy",), omitted={"testapp.copy": ["nothing"]})).__enter__()
    with pytest.raises(SourceUnavailable, match=r"'x' is no handle of testapp\.copy"):
        source.records(only, ["x"]).__enter__()
    with source.open_file(f"sha256:{CHECKSUM}") as blocks:
        assert b"".join(blocks) == BYTES
    with pytest.raises(WrongFile, match="No row in scope"), source.open_file("sha256:" + "0" * 64):
        pass
    with (
        pytest.raises(Exception, match=r"This export key or account may not read testapp\.language"),
        source.stream(Request(models=("testapp.language",))),
    ):
        pass
    with pytest.raises(Exception, match="refused the export key"):
        HttpSource(f"{live_server.url}/api", key[:-1] + "!").manifest()
    with pytest.raises(Exception, match=r"include data_sync\.urls"):
        HttpSource(f"{live_server.url}/wrong", key).manifest()
    source.close()


@pytest.mark.django_db(transaction=True)
def test_under_asgi_the_body_comes_in_blocks_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    from asgiref.sync import async_to_sync

    make_rows(1)
    headers = pulled(bearer())

    async def read() -> tuple[Any, list[bytes]]:
        response = await AsyncClient().get(PATHS[2], headers=headers)
        return response, [block async for block in response.streaming_content]

    with ThreadPoolExecutor(1) as thread:  # The browser tests may have left an event loop in this one.
        response, blocks = thread.submit(async_to_sync(read)).result()
    assert response.is_async
    assert b"".join(blocks) == BYTES
    assert max(len(block) for block in blocks) == sending.BLOCK
    assert not [warning for warning in recwarn if "StreamingHttpResponse" in str(warning.message)]


def test_the_manifest_s_text_is_canonical(db: None) -> None:
    content = body(Client().get(PATHS[0], headers=bearer())).decode()
    assert canonical.dumps(canonical.loads(content)) == content
    assert export.manifest(["testapp.country"])["models"].keys() == {"testapp.country"}
