"""`doctor`: whether this environment is set up, and whether its sources can be pulled from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from django.core import checks
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from data_sync.models import DataSource
from data_sync.registry import registrations
from data_sync.services import due, source_checks
from data_sync.tasks import choice

from ..text.table import wrapped
from ..text.words import count, line, moment
from .call import FOUND, Answer, Call, Stream, Verbs, source_of

Level: TypeAlias = Literal["fault", "warning", "note", "ok"]
SIGNS: dict[Level, str] = {"fault": "✗", "warning": "!", "note": "i", "ok": "✓"}
"""In the order in which they are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `remedy` is "" where there is nothing to do, or where `message` says it."""

    name: str
    level: Level
    message: str
    remedy: str = ""

    def document(self) -> dict[str, str]:
        return {"name": self.name, "level": self.level, "message": self.message, "remedy": self.remedy}


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A source, and what was found of it."""

    source: DataSource
    findings: list[Finding]


def add_verbs(verbs: Verbs) -> None:
    doctor = verbs.add("doctor", examine, "Examine the settings here, and the sources: reachable, key, models")
    doctor.add_argument("source", nargs="?", metavar="SOURCE", help="this source only; default all")


def examine(call: Call) -> Answer:
    call.actor.require("data_sync.pull_datasource")
    database = _examine_database()
    is_sound = database.level == "ok"
    here = [database, *_examine_settings(is_sound), *(_examine_queue() if is_sound else ())]
    here.sort(key=lambda finding: (list(SIGNS).index(finding.level), not finding.name.startswith("data_sync.")))
    found = [_examine_source(source) for source in (_sources(call) if is_sound else ())]
    everything = [*here, *(finding for each in found for finding in each.findings)]
    has_fault = any(finding.level == "fault" for finding in everything)
    return Answer(
        document={
            "ok": not has_fault,
            "here": [finding.document() for finding in here],
            "sources": [_document(each) for each in found],
        },
        text=_text(here, found, everything),
        code=FOUND if has_fault else 0,
    )


def _sources(call: Call) -> list[DataSource]:
    name = call.options["source"]
    return list(DataSource.objects.all()) if name is None else [source_of(name)]


def _examine_database() -> Finding:
    try:
        executor = MigrationExecutor(connection)
        targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "data_sync"]
        missing = executor.migration_plan(targets)
    except DatabaseError as error:
        return Finding(name="database", level="fault", message=f"It does not answer: {error}")
    if missing:
        waiting = f"{count(len(missing), 'migration')} not applied."
        return Finding(name="database", level="fault", message=waiting, remedy="Run manage.py migrate data_sync.")
    return Finding(name="database", level="ok", message="The tables of data_sync are there.")


def _examine_settings(has_database: bool) -> Iterator[Finding]:
    databases = [DEFAULT_DB_ALIAS] if has_database else []
    found = checks.run_checks(tags=["data_sync"], include_deployment_checks=True, databases=databases)
    messages = sorted(
        (message for message in found if not message.is_silenced()), key=lambda each: (-each.level, str(each.id))
    )
    for message in messages:
        yield Finding(
            name=str(message.id), level=_level(message), message=str(message.msg), remedy=str(message.hint or "")
        )
    registered = len(registrations())
    if not registered:
        yield Finding(
            name="models",
            level="fault",
            message="No model is registered here.",
            remedy="Register those to be synced by data_sync.register_model.",
        )
    elif not any(message.is_serious() for message in messages):
        yield Finding(name="models", level="ok", message=f"{count(registered, 'model')} registered.")


def _level(message: checks.CheckMessage) -> Level:
    if message.is_serious():
        return "fault"
    return "warning" if message.level >= checks.WARNING else "note"


def _examine_queue() -> Iterator[Finding]:
    try:
        queue = choice.chosen()
    except Exception:
        return  # data_sync.E023 says why.
    where = "Work is done in the request" if queue is None else f"Work is handed to {queue.name}"
    backlog = due.backlog()
    counts = ((backlog.pulls, "pull", "pulls"), (backlog.applies, "apply", "applies"))
    waiting = [f"{number:,} {one if number == 1 else more}" for number, one, more in counts if number]
    if not waiting:
        yield Finding(name="queue", level="ok", message=f"{where}; nothing waits.")
        return
    what = f"{where}. Waiting: {' and '.join(waiting)}, the oldest since {moment(backlog.since)}."
    if not backlog.overdue:
        yield Finding(name="queue", level="ok", message=what)
        return
    yield Finding(
        name="queue",
        level="warning",
        message=f"{what} Of these, {backlog.overdue:,} should have been begun by now.",
        remedy="Look whether a worker runs, and have cron run data_sync sweep every minute.",
    )


def _examine_source(source: DataSource) -> Examined:
    findings = [
        Finding(name=check.name, level="ok" if check.ok else "fault", message=check.message)
        for check in source_checks.check_source(source)
    ]
    return Examined(source=source, findings=findings)


def _document(examined: Examined) -> dict[str, Any]:
    findings = [finding.document() for finding in examined.findings]
    return {"source": examined.source.name, "url": examined.source.url, "checks": findings}


def _text(here: list[Finding], found: list[Examined], everything: list[Finding]) -> Stream:
    yield "Here"
    yield from _lines(here)
    for each in found:
        yield f"{line(each.source.name)}, {line(each.source.url)}"
        yield from _lines(each.findings)
    numbers = {level: sum(finding.level == level for finding in everything) for level in SIGNS}
    faults = f"{count(numbers['fault'], 'fault')} found" if numbers["fault"] else "No fault found"
    yield f"{faults}; {count(numbers['warning'], 'warning')}." if numbers["warning"] else f"{faults}."


def _lines(findings: list[Finding]) -> Stream:
    for finding in findings:
        yield from wrapped(f"{line(finding.name)}: {line(finding.message)}", "    ", f"  {SIGNS[finding.level]} ")
        if finding.remedy:
            yield from wrapped(line(finding.remedy), "      ", "    → ")
