"""A secret of each kind, and everything that is written, sent, shown or stored searched for it: nowhere.

In the database there is of an export key its hash, and of a source's key its encrypted form; a new export key is in the
one answer that shows it.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import pickle
import secrets
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.core.management import base
from django.test import Client
from django.urls import reverse
from django.views.debug import ExceptionReporter

from data_sync.core.errors import DataSyncError
from data_sync.management.commands.data_sync import Command
from data_sync.models import Changeset, DataPull, DataSource, ExportKey
from data_sync.services import actors, credentials, document, keys, pull, sources
from data_sync.services.source_rows import identity_of
from data_sync.sources.http import HttpSource
from data_sync.sources.transport import Transport
from tests.admin import making
from tests.environments import Environments
from tests.impostor import Impostor, country
from tests.sources.hostile import http
from tests.test_matrix import dump

pytestmark = pytest.mark.no_database

STORED, REFERRED, TOKEN, MASTER = (f"canary-{kind}-{secrets.token_urlsafe(32)}" for kind in ("a", "b", "c", "d"))
"""A source's key that is stored, one in an environment variable, `DATA_SYNC_EXPORT_TOKEN`, and `SECRET_KEY`."""
VARIABLE = "DATA_SYNC_KEY_CANARY"


class Searched:
    """What has come out so far, by where; `forbid` adds a secret that must not be in any of it."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        self._secrets = [STORED, REFERRED, TOKEN, MASTER]

    def forbid(self, secret: str) -> None:
        self._secrets.append(secret)

    def add(self, where: str, what: object) -> None:
        text = what.decode("latin-1") if isinstance(what, bytes) else str(what)
        self.texts.append((where, text))

    def error(self, where: str, error: BaseException) -> None:
        """An error with everything about it: its traceback with the locals of each frame, its repr, its pickle."""
        told = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format())
        self.add(where, told)
        self.add(where, repr(error) + repr(error.args) + repr(vars(error)))
        self.add(where, pickle.dumps(str(error)))
        seen: BaseException | None = error
        while seen is not None:
            self.add(where, repr(vars(seen)) + str(seen))
            seen = seen.__cause__ or seen.__context__

    def assert_clean(self) -> None:
        assert self.texts
        for secret in self._secrets:
            half = secret.rpartition(".")[2]
            forms = {half, half[:20], quote(half, safe=""), repr(half)[1:-1], json.dumps(half)[1:-1]}
            forms |= {base64.b64encode(half.encode()).decode()[:24], half.encode().hex()}
            for where, text in self.texts:
                assert not any(form in text for form in forms), where


class Everything(logging.Handler):
    """Each record of each logger, with all that hangs on it."""

    def __init__(self, found: Searched) -> None:
        super().__init__(logging.DEBUG)
        self.found = found

    def emit(self, record: logging.LogRecord) -> None:
        self.found.add(f"log of {record.name}", self.format(record))
        self.found.add(f"log of {record.name}", repr(record.args))
        if record.exc_info and record.exc_info[1] is not None:
            self.found.error(f"error in the log of {record.name}", record.exc_info[1])


@pytest.fixture
def found(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Searched]:
    settings.SECRET_KEY = MASTER
    settings.DATA_SYNC_EXPORT_TOKEN = TOKEN
    settings.DEBUG_PROPAGATE_EXCEPTIONS = False
    monkeypatch.setenv(VARIABLE, REFERRED)
    monkeypatch.setattr(base.connections, "close_all", lambda: None)
    searched = Searched()
    handler = Everything(searched)
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    levels = [(logger, logger.level, logger.disabled, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.disabled = False
        if logger.name != "root" and not logger.propagate:
            logger.propagate = True
    logging.getLogger().addHandler(handler)
    yield searched
    logging.getLogger().removeHandler(handler)
    for logger, level, disabled, propagate in levels:
        logger.setLevel(level)
        logger.disabled, logger.propagate = disabled, propagate


def run(found: Searched, *words: object, given: str = "", monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a command as a shell would; what it prints is searched, and given."""
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    out, err = io.StringIO(), io.StringIO()
    try:
        Command(stdout=out, stderr=err, no_color=True).run_from_argv(["manage.py", "data_sync", *map(str, words)])
    except SystemExit:
        pass
    except Exception as error:
        found.error(f"command {words[0]}", error)
    found.add(f"errors of {words}", err.getvalue())
    return out.getvalue()


def look_around(found: Searched, client: Client) -> None:
    """Everything that is stored, every page, every export, and how the objects are shown."""
    for table, rows in dump().items():
        found.add(f"table {table}", rows)
    for model in apps.get_app_config("data_sync").get_models():
        for row in model._base_manager.all():
            found.add(f"repr of {model.__name__}", f"{row!r} {row!s}")
    for entry in LogEntry.objects.all():
        found.add("admin log", f"{entry!r} {entry.change_message} {entry.object_repr}")
    pages = [
        reverse(f"admin:data_sync_{name}_changelist") for name in ("changeset", "datapull", "datasource", "exportkey")
    ]
    for model, names in (
        (
            Changeset,
            ("changeset_change", "changeset_history", "changeset_result", "changeset_print"),
        ),
        (DataPull, ("datapull_change", "datapull_status")),
        (DataSource, ("datasource_change", "datasource_edit", "datasource_delete")),
        (ExportKey, ("exportkey_change",)),
    ):
        for pk in model._base_manager.values_list("pk", flat=True):
            pages += [reverse(f"admin:data_sync_{name}", args=(pk,)) for name in names]
    exports = [reverse("admin:data_sync_changeset_export", args=(one.pk,)) for one in Changeset.objects.all()]
    for url in [*pages, *exports]:
        answer = client.post(url) if url in exports else client.get(url)
        assert answer.status_code == 200
        found.add(url, b"".join(answer) if answer.streaming else answer.content)
        found.add(url, str(answer.headers))


ANSWERS: dict[str, bytes] = {
    "401": http("401 Unauthorized", b'{"error": "No."}', Content_Type="application/json", Connection="close"),
    "500": http("500 Oops", b"{}", Content_Type="application/json", Connection="close"),
    "503": http("503 Busy", b"{}", Content_Type="application/json", Retry_After="5", Connection="close"),
    "redirect": http("302 Found", Location="https://elsewhere.example/login", Connection="close"),
    "page": http("200 OK", b"<html>", Content_Type="text/html", Connection="close"),
    "cut": http("200 OK", b'{"format', length=999, Content_Type="application/json", Connection="close"),
    "nonsense": http("200 OK", b"{nonsense", Content_Type="application/json", Connection="close"),
    "no http": b"SSH-2.0-OpenSSH\r\n",
    "nothing": b"",
}


def echo(server: Impostor) -> bytes:
    """A server that tells all it was sent, as one behind a debugging proxy might."""
    sent = server._server.requests[-1]
    body = json.dumps({"error": f"You sent {sent}"}).encode()
    return http("500 Oops", body, Content_Type="application/json", Connection="close")


def echo_in_redirect(server: Impostor) -> bytes:
    head = server._server.requests[-1]
    key = next(line for line in head.splitlines() if line.lower().startswith("authorization")).rpartition(" ")[2]
    return http("302 Found", Location=f"https://elsewhere.example/{key}/x", Connection="close")


def test_no_secret_of_a_source_comes_out_however_its_pulls_end(
    found: Searched, environments: Environments, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(making.user("boss", "*"))
    impostor = Impostor(country=[country("DE"), country("FR")])
    try:
        add = reverse("admin:data_sync_datasource_add")
        url = impostor._server.url
        answers = [client.post(add, {"name": "Stored", "url": url, "key": STORED})]
        answers.append(client.post(add, {"name": "Stored", "url": url, "key": STORED}))  # The name is taken.
        answers.append(client.post(add, {"name": "x", "url": "nonsense", "key": STORED}))
        run(found, "source", "add", "Typed", url, "--key", "-", given=f"{STORED}\n", monkeypatch=monkeypatch)
        run(found, "source", "add", "Typed", url, "--key", "-", given=f"{STORED}\n", monkeypatch=monkeypatch)
        run(found, "source", "add", "Wrong", url, "--key", STORED[:10], monkeypatch=monkeypatch)
        run(found, "source", "add", "Referred", url, "--key", f"env:{VARIABLE}", monkeypatch=monkeypatch)
        for answer in answers:
            found.add("answers of the form", answer.content)
        for name in ("Stored", "Typed", "Referred"):
            source = DataSource.objects.get(name=name)
            for bad in (*ANSWERS, "echo", "echo in redirect"):
                with monkeypatch.context() as patch:
                    makers: dict[str, Any] = {"echo": echo, "echo in redirect": echo_in_redirect}
                    maker = makers.get(bad)
                    given = ANSWERS.get(bad, b"")
                    impostor.answers["manifest"] = (
                        (lambda connection, make=maker: connection.sendall(make(impostor))) if maker else given
                    )
                    page = client.post(reverse("admin:data_sync_datasource_test", args=(source.pk,)))
                    found.add(f"test of {name}, {bad}", page.content)
                    asked = pull.request_pull(source, [], actors.command_line())
                    assert pull.run_pull(asked.pk).state == "failed", bad
                    for options in ([], ["--json"]):
                        found.add("pull", run(found, "pull", name, *options, monkeypatch=patch))
                        found.add("doctor", run(found, "doctor", name, *options, monkeypatch=patch))
            impostor.answers.clear()
            good = pull.request_pull(source, [], actors.command_line())
            assert pull.run_pull(good.pk).state == "done"
            for options in ([], ["--json"]):
                for words in (["source", "list"], ["list"], ["show", Changeset.objects.latest("pk").pk], ["sweep"]):
                    found.add(str(words), run(found, *words, *options, monkeypatch=monkeypatch))
            found.add(
                "export", "".join(document.changeset_document(Changeset.objects.latest("pk"), actors.command_line()))
            )
        assert any("•••" in row.error for row in DataPull.objects.all()), "a server has told what it was sent"
        assert any(STORED in request for request in impostor._server.requests), "the key has been used"
        assert any(REFERRED in request for request in impostor._server.requests)
        look_around(found, client)
        # With another SECRET_KEY, and without the variable.
        monkeypatch.delenv(VARIABLE)
        for name in ("Stored", "Referred"):
            run(found, "pull", name, monkeypatch=monkeypatch)
    finally:
        impostor.close()
    found.assert_clean()


def test_no_export_key_comes_out_but_once(
    found: Searched, environments: Environments, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(making.user("boss", "*"))
    created = client.post(reverse("admin:data_sync_exportkey_add"), {"name": "Production"}).content.decode()
    row = ExportKey.objects.get()
    in_page = next(word.split("<")[0] for word in created.split(">") if word.startswith(f"{row.prefix}."))
    printed = run(found, "key", "create", "second", monkeypatch=monkeypatch).strip()
    as_json = json.loads(run(found, "key", "create", "third", "--json", monkeypatch=monkeypatch))["key"]
    for text in (in_page, printed, as_json):
        found.forbid(text)
        assert making.readable(text) is not None
    for text in (in_page, TOKEN, in_page[:-1], f"{in_page}x"):
        for name in ("manifest", "export", "digests"):
            answer = client.get(reverse(f"data_sync:{name}"), headers={"Authorization": f"Bearer {text}"})
            found.add(name, b"".join(answer) if answer.streaming else answer.content)
        client.get(reverse("data_sync:manifest") + "?models=no.such", headers={"Authorization": f"Bearer {text}"})
    for options in ([], ["--json"]):
        found.add("key list", run(found, "key", "list", *options, monkeypatch=monkeypatch))
        found.add("key create", run(found, "key", "create", "second", *options, monkeypatch=monkeypatch))
    look_around(found, client)
    found.assert_clean()


def test_no_secret_is_on_a_technical_page(
    found: Searched, environments: Environments, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As administrators get them by mail: with the settings, the request, and the locals of every frame."""
    boss = making.user("boss", "*")
    client = Client(raise_request_exception=False)
    client.force_login(boss)
    _, text = keys.create_key("Production", actors.command_line())
    found.forbid(text)
    sources.add_source("Stored", environments.url, STORED, actors.command_line())
    source = DataSource.objects.get(name="Stored")

    def explode(*_: Any, **__: Any) -> Any:
        raise RuntimeError("on purpose")

    add = reverse("admin:data_sync_datasource_add")
    edit = reverse("admin:data_sync_datasource_edit", args=(source.pk,))
    form = {"name": "Other", "url": environments.url, "key": STORED}
    bearer = {"Authorization": f"Bearer {text}"}
    tries: list[tuple[str, Any]] = [
        ("data_sync.services.encryption._fernets", lambda: client.post(add, form)),
        ("data_sync.services.sources._save", lambda: client.post(add, form)),
        ("data_sync.services.sources._save", lambda: client.post(edit, form | {"seen": identity_of(source)})),
        ("data_sync.services.keys.hash_of", lambda: client.get(reverse("data_sync:manifest"), headers=bearer)),
        ("data_sync.services.export.manifest", lambda: client.get(reverse("data_sync:manifest"), headers=bearer)),
        (
            "data_sync.models.ExportKey.save",
            lambda: client.post(reverse("admin:data_sync_exportkey_add"), {"name": "x"}),
        ),
        (
            "data_sync.sources.http.HttpSource.manifest",
            lambda: client.post(reverse("admin:data_sync_datasource_test", args=(source.pk,))),
        ),
    ]
    for place, request in tries:
        with monkeypatch.context() as patch:
            patch.setattr(place, explode)
            answer = request()
        assert answer.status_code == 500, place
        error = answer.exc_info
        assert error is not None
        page = ExceptionReporter(answer.wsgi_request, *error, is_email=True).get_traceback_html()
        assert "on purpose" in page and "SECRET_KEY" in page, place
        found.add(f"technical page for {place}", page)
    found.assert_clean()


def test_nothing_that_holds_a_secret_shows_it(found: Searched, environments: Environments) -> None:
    sources.add_source("Stored", environments.url, STORED, actors.command_line())
    source = DataSource.objects.get(name="Stored")
    _, text = keys.create_key("Production", actors.command_line())
    found.forbid(text)
    opened = sources.open_source(source)
    assert isinstance(opened, HttpSource)
    opened.manifest_error = None  # type: ignore[attr-defined]
    found.add("repr of a source", repr(opened))
    found.add("repr of its session", repr(opened._transport) + repr(Transport))
    for stored in ("", "fernet:nonsense", "env:DATA_SYNC_KEY_NOT_SET", source.key[:-5]):
        with pytest.raises(DataSyncError) as caught:
            credentials.reveal(stored)
        found.error("reveal", caught.value)
    for given in (f"{STORED} with a space", f"{STORED}\n{STORED}", f"{STORED}é"):
        with pytest.raises(DataSyncError) as caught:
            credentials.protect(given)
        found.error("protect", caught.value)
    found.assert_clean()
