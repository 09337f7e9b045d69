"""What is measured, each step in a process of its own (see `step`), and what prepares it.

Imports, set-up and what a step needs to know in advance are done before its clock starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import models, transaction

from data_sync.core.states import Decision, Operation
from data_sync.models import Changeset, DataSource
from data_sync.services import actors, approval, review, sources
from data_sync.services import apply as applying
from data_sync.services import pull as pulling
from tests.benchmarks import data
from tests.benchmarks.app.models import Country, Language, Tag, Text

from .usage import usage

CHUNK = 2000
READING, LISTING = "read both sides", "take in the rows"
TOKEN = "for-benchmarks-only-and-not-a-secret-token"


class Clock:
    """Seconds, processor time and memory of the block it is used around."""

    def __enter__(self) -> Clock:
        self._before = usage()
        self._started = time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        self._seconds = time.perf_counter() - self._started
        self._after = usage()

    def result(self, **more: Any) -> dict[str, Any]:
        return {
            "seconds": self._seconds,
            "processor": self._after.processor - self._before.processor,
            "idle": self._before.memory,
            "peak": self._after.peak,
            **more,
        }


# Preparing


def fill(rows: str) -> dict[str, Any]:
    data.fill(int(rows))
    get_user_model().objects.create_superuser("editor")
    return {"bytes_per_row": _bytes_per_row()}


def edit() -> dict[str, Any]:
    return data.edit()


def _bytes_per_row() -> int:
    """Mean size of a text as the stream has it."""
    from data_sync.orm.read import LocalSource

    with LocalSource().stream([Text._meta.label_lower]) as blocks:
        size = sum(map(len, blocks))
    return size // Text.objects.count()


def add_source(url: str) -> dict[str, Any]:
    DataSource.objects.all().delete()
    sources.add_source("Staging", url, TOKEN, actors.command_line())
    return {}


# Reading


def floor() -> dict[str, Any]:
    """Every column of every row of both databases, and the tags of each chunk of texts."""
    with Clock() as clock:
        rows = sum(_read(using) for using in ("source", "default"))
    return clock.result(rows=rows)


def _read(using: str) -> int:
    count = 0
    for model in (Country, Language, Tag, Text):
        columns = [field.attname for field in model._meta.concrete_fields]
        rows = model._base_manager.using(using).order_by("pk").values_list(*columns)
        for chunk in _chunks(rows.iterator(chunk_size=CHUNK)):
            count += len(chunk)
            if model is Text:
                links = Text.tags.through.objects.using(using).filter(
                    text_id__gte=chunk[0][0], text_id__lte=chunk[-1][0]
                )
                for _ in links.values_list("text_id", "tag_id").iterator(chunk_size=CHUNK):
                    pass
    return count


def _chunks(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    chunk = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


# Django's own way


def dumpdata(path: str) -> dict[str, Any]:
    with Clock() as clock:
        call_command("dumpdata", "app", natural_foreign=True, natural_primary=True, output=path, verbosity=0)
    return clock.result()


def loaddata(path: str) -> dict[str, Any]:
    with Clock() as clock:
        call_command("loaddata", path, verbosity=0)
    return clock.result()


def save() -> dict[str, Any]:
    """The changes by `Model.save()`, `set()` and `delete()`, one row after the other, in one transaction.

    As bare as can be: primary keys are known, nothing is looked up, compared or recorded.
    """
    changed, new, gone = data.differences()
    with Clock() as clock, transaction.atomic():
        for row in [*changed, *new]:
            instance = Text(pk=row.pk, **row.values)
            instance.save()
            instance.tags.set(row.tags)
        for instance in Text.objects.filter(pk__in=[row.pk for row in gone]):
            instance.delete()
    return clock.result(left=_left())


def get_and_save() -> dict[str, Any]:
    """The same as a script does it that is given natural keys: `get()`, then `save()`."""
    changed, new, gone = data.differences()
    with Clock() as clock, transaction.atomic():
        for row in [*changed, *new]:
            instance = Text.objects.filter(language_id=row.key[0], key=row.key[1]).first() or Text()
            for name, value in row.values.items():
                setattr(instance, name, value)
            instance.save()
            instance.tags.set(row.tags)
        for row in gone:
            Text.objects.get(language_id=row.key[0], key=row.key[1]).delete()
    return clock.result(left=_left())


def _left() -> int:
    """How many rows still differ from the source's."""
    return sum(map(len, data.differences()))


# data_sync's


def pull() -> dict[str, Any]:
    """A pull over HTTP, up to the stored changeset."""
    request = pulling.request_pull(DataSource.objects.get(), [], actors.command_line())
    with Clock() as clock, _parts() as parts:
        done = pulling.run_pull(request.pk)
    return clock.result(
        parts=parts,
        state=done.state,
        error=done.error,
        compared=done.compared,
        counts={
            operation.value: sum(row[operation.value] for row in done.report.get("models", ()))
            for operation in Operation
        },
    )


@contextmanager
def _parts() -> Iterator[dict[str, float]]:
    """How long the parts of a pull take. Each side is read in a thread of its own."""
    parts: dict[str, float] = {}
    began: dict[str, float] = {}

    def timed(function: Callable[..., Any], part: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            name = part + (f" {arguments[0].side}" if part == LISTING else "")
            began[name] = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                parts[name] = time.perf_counter() - began[name]

        return call

    with (
        mock.patch.object(pulling, "_read_both", timed(pulling._read_both, READING)),
        mock.patch.object(pulling.Listing, "read", timed(pulling.Listing.read, LISTING)),
        mock.patch.object(pulling, "Comparison", timed(pulling.Comparison, "compare")),
        mock.patch.object(pulling, "store_changeset", timed(pulling.store_changeset, "diff and store")),
    ):
        yield parts
    if first := began.get(f"{LISTING} at the source"):
        parts["until the source sends"] = first - began[READING]


def approve() -> dict[str, Any]:
    """Accepting every change, deletes included, and approving."""
    changeset = Changeset.objects.latest("pk")
    actor = actors.of_user(get_user_model().objects.get())
    with Clock() as clock:
        numbers = tuple(changeset.changes.values_list("number", flat=True))
        decided = review.decide(changeset.pk, review.Selection(numbers=numbers), Decision.ACCEPTED, actor, revision=0)
        approval.approve(changeset.pk, actor, revision=decided.revision)
    return clock.result(accepted=decided.count)


def apply() -> dict[str, Any]:
    """Applying the approved changeset: checks, writes, read-back, History and audit."""
    changeset = Changeset.objects.latest("pk")
    actor = actors.of_user(get_user_model().objects.get())
    with Clock() as clock:
        applying.request_apply(changeset.pk, actor)
        done = applying.run_apply(changeset.pk)
    outcomes = done.changes.values_list("outcome").annotate(models.Count("pk"))
    return clock.result(state=done.state, error=done.state_reason, outcomes=dict(outcomes.order_by()), left=_left())
