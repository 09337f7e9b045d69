"""`doctor`: whether this environment is set up, and whether its sources can be pulled from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core import checks
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from data_sync.models import DataSource
from data_sync.registry import registrations
from data_sync.services import sources

from ..text.table import wrapped
from ..text.words import count, line
from .call import FOUND, Answer, Call, Stream, Verbs, source_of

Finding = dict[str, str]
"""`{"name", "level": "ok" | "warning" | "fault", "message"}`."""


def add_verbs(verbs: Verbs) -> None:
    doctor = verbs.add("doctor", examine, "Examine the settings here, and the sources: reachable, key, models")
    doctor.add_argument("source", nargs="?", metavar="SOURCE", help="this source only; default all")


def examine(call: Call) -> Answer:
    call.actor.require("data_sync.pull_datasource")
    here = [*_examine_database(), *_examine_settings()]
    found = [_examine_source(source) for source in _sources(call, here)]
    everything = [*here, *(finding for each in found for finding in each["checks"])]
    faults = sum(finding["level"] == "fault" for finding in everything)
    return Answer(
        document={"ok": faults == 0, "here": here, "sources": found},
        text=_text(here, found, faults),
        code=FOUND if faults else 0,
    )


def _sources(call: Call, here: list[Finding]) -> list[DataSource]:
    if any(finding["name"] == "database" and finding["level"] == "fault" for finding in here):
        return []
    name = call.options["source"]
    return list(DataSource.objects.all()) if name is None else [source_of(name)]


def _examine_database() -> Iterator[Finding]:
    try:
        executor = MigrationExecutor(connection)
        targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "data_sync"]
        missing = executor.migration_plan(targets)
    except DatabaseError as error:
        yield _finding("database", "fault", f"It does not answer: {error}")
        return
    if missing:
        waiting = count(len(missing), "migration")
        yield _finding("database", "fault", f"{waiting} not applied; run manage.py migrate data_sync.")
    else:
        yield _finding("database", "ok", "The tables of data_sync are there.")


def _examine_settings() -> Iterator[Finding]:
    messages = [message for message in checks.run_checks(tags=["data_sync"]) if not message.is_silenced()]
    for message in messages:
        level = "fault" if message.is_serious() else "warning"
        hint = f" {message.hint}" if message.hint else ""
        yield _finding(str(message.id), level, f"{message.msg}{hint}")
    registered = len(registrations())
    if not registered:
        yield _finding("models", "fault", "No model is registered here; see data_sync.register_model.")
    elif not any(message.is_serious() for message in messages):
        yield _finding("models", "ok", f"{count(registered, 'model')} registered, settings sound.")


def _examine_source(source: DataSource) -> dict[str, Any]:
    found = [
        _finding(check.name, "ok" if check.ok else "fault", check.message) for check in sources.check_source(source)
    ]
    return {"source": source.name, "url": source.url, "checks": found}


def _finding(name: str, level: str, message: str) -> Finding:
    return {"name": name, "level": level, "message": message}


def _text(here: list[Finding], found: list[dict[str, Any]], faults: int) -> Stream:
    yield "Here"
    yield from _lines(here)
    for source in found:
        yield f"{line(source['source'])}, {line(source['url'])}"
        yield from _lines(source["checks"])
    yield f"{count(faults, 'fault')} found." if faults else "No fault found."


def _lines(findings: list[Finding]) -> Stream:
    for finding in findings:
        sign = {"ok": "✓", "warning": "!", "fault": "✗"}[finding["level"]]
        yield from wrapped(f"{line(finding['name'])}: {line(finding['message'])}", "      ", f"  {sign} ")
