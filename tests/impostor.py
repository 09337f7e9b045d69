"""A source that a test writes by hand: records that no database would give, and answers that no server should.

It speaks HTTP on 127.0.0.1 like any other source; what it says about its schema is honest unless a
test changes it.
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from data_sync.core.records import FileValue, Record
from data_sync.core.wire import write_stream
from data_sync.models import DataSource
from data_sync.orm.resolution import schemas
from data_sync.services import actors, sources
from tests.sources.hostile import Server, http

Answer = bytes | Callable[[socket.socket], None]


class Impostor:
    """A source of these records; `manifest` may be altered, `answers` replaces whole answers.

    `answers` is keyed by the last part of the path: "manifest", "export", or a file's SHA-256.
    """

    def __init__(self, **rows: Iterable[Record]) -> None:
        self.records: dict[str, list[Record]] = {f"testapp.{name}": list(of) for name, of in rows.items()}
        known = schemas()
        self.manifest: dict[str, Any] = {
            "format": "data-sync-manifest",
            "protocol": 1,
            "models": {
                label: json.loads(json.dumps(known[label].manifest(len(of)).to_plain()))
                for label, of in self.records.items()
            },
        }
        self.answers: dict[str, Answer] = {}
        self.files: dict[str, bytes] = {}
        self._server = Server(self._answer)

    @property
    def requests(self) -> list[str]:
        """The paths that were asked for."""
        return [head.split()[1] for head in self._server.requests]

    def add_source(self) -> DataSource:
        return sources.add_source("Impostor", self._server.url, "k" * 43, actors.command_line())

    def stream(self, *labels: str) -> bytes:
        lines = [(label, [record.line() for record in self.records[label]]) for label in labels]
        return b"".join(write_stream(labels, lines))

    def file(self, content: bytes, name: str = "a.txt") -> FileValue:
        """A file that is served under its checksum."""
        digest = hashlib.sha256(content).hexdigest()
        self.files[digest] = content
        return FileValue(name=name, size=len(content), checksum=f"sha256:{digest}")

    def close(self) -> None:
        self._server.close()

    def _answer(self, connection: socket.socket) -> None:
        url = urlsplit(self.requests[-1])
        what = url.path.rpartition("/")[2]
        answer = self.answers.get(what)
        if callable(answer):
            answer(connection)
        else:
            connection.sendall(answer if answer is not None else self._honest(what, url.query))

    def _honest(self, what: str, query: str) -> bytes:
        if what == "manifest":
            return _closing("200 OK", json.dumps(self.manifest).encode(), "application/json")
        if what == "export":
            labels = parse_qs(query)["models"][0].split(",")
            return _closing("200 OK", self.stream(*labels), "application/x-ndjson")
        if what in self.files:
            return _closing("200 OK", self.files[what], "application/octet-stream")
        return _closing("404 Not Found", b'{"error":"No such file."}', "application/json")


def _closing(status: str, body: bytes, kind: str) -> bytes:
    """An answer that says what this server does: close the connection after it."""
    return http(status, body, Content_Type=kind, Connection="close")


def record(model: str, *key: Any, files: dict[str, FileValue | None] | None = None, **fields: Any) -> Record:
    """A record of the test app, as its source would put it."""
    return Record(model=f"testapp.{model}", key=key, fields=fields, files=files or {})


def country(code: Any) -> Record:
    return record("country", code, code=code)
