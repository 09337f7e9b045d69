"""What is measured, each in a process of its own: `python -m tests.benchmarks.steps STEP` prints JSON.

Imports, set-up and what a step needs to know in advance are done before its clock starts.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.benchmarks.settings")

import django

django.setup()

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import models, transaction

from data_sync.core.states import Decision, Operation
from data_sync.models import Changeset, DataPull, DataSource
from data_sync.services import actors, apply, classify, pull, review, sources, store
from tests.benchmarks import data
from tests.benchmarks.app.models import Country, Language, Tag, Text

from .memory import memory

CHUNK = 2000
TOKEN = "for-benchmarks-only-and-not-a-secret-token"


class Clock:
    """Seconds and memory of the block it is used around."""

    def __enter__(self) -> Clock:
        self.idle = memory().now
        self._started = time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        self.seconds = time.perf_counter() - self._started
        self.peak = memory().peak

    def result(self, **more: Any) -> dict[str, Any]:
        return {"seconds": self.seconds, "idle": self.idle, "peak": self.peak, **more}


# Preparing


def fill(rows: str) -> dict[str, Any]:
    data.fill(int(rows))
    get_user_model().objects.create_superuser("editor")
    return {"bytes_per_row": _bytes_per_row()}


def edit() -> dict[str, Any]:
    data.edit()
    return {}


def _bytes_per_row() -> int:
    """Mean size of a text as the stream has it."""
    from data_sync.orm.read import LocalSource

    with LocalSource().stream([Text._meta.label_lower]) as blocks:
        size = sum(map(len, blocks))
    return size // Text.objects.count()


def add_source(url: str) -> dict[str, Any]:
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
                    text_id__range=(chunk[0][0], chunk[-1][0])
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
        for values, tags in [*changed.values(), *new.values()]:
            row = Text(**values)
            row.save()
            row.tags.set(tags)
        for row in Text.objects.filter(pk__in=gone):
            row.delete()
    return clock.result(rows=len(changed) + len(new) + len(gone), left=_left())


def get_and_save() -> dict[str, Any]:
    """The same as scripts do it that know natural keys only: `get()`, then `save()`."""
    changed, new, gone = data.differences()
    keys = {row.pk: (row.language_id, row.key) for row in Text.objects.filter(pk__in=[*changed, *gone])}
    with Clock() as clock, transaction.atomic():
        for pk, (values, tags) in [*changed.items(), *new.items()]:
            row = Text() if pk in new else Text.objects.get(language_id=keys[pk][0], key=keys[pk][1])
            for name, value in values.items():
                setattr(row, name, value)
            row.save()
            row.tags.set(tags)
        for pk in gone:
            Text.objects.get(language_id=keys[pk][0], key=keys[pk][1]).delete()
    return clock.result(rows=len(changed) + len(new) + len(gone), left=_left())


def _left() -> int:
    """How many rows still differ from the source."""
    return sum(map(len, data.differences()))


# data_sync's


def pulled() -> dict[str, Any]:
    """A pull over HTTP, up to the stored changeset."""
    request = pull.request_pull(DataSource.objects.get(), [], actors.command_line())
    with Clock() as clock, _timed() as parts:
        done = pull.run_pull(request.pk)
    return clock.result(
        parts=parts,
        state=done.state,
        error=done.error,
        compared=done.compared,
        counts={
            operation.value: sum(row[operation.value] for row in done.report.get("models", ()))
            for operation in (Operation.CREATE, Operation.UPDATE, Operation.DELETE)
        },
    )


@contextmanager
def _timed() -> Iterator[dict[str, float]]:
    """The parts of a pull. The local rows are read while the source reads its own and sends them."""
    parts: dict[str, float] = {}
    measured = [
        (pull, "_read_both", "read both sides"),
        (classify.Comparison, "__init__", "compare"),
        (store, "store_changeset", "diff and store"),
    ]
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in measured]

    def timed(function: Callable[..., Any], part: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                parts[part] = time.perf_counter() - started

        return call

    for owner, name, part in measured:
        setattr(owner, name, timed(getattr(owner, name), part))
    pull.store_changeset = store.store_changeset
    try:
        yield parts
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


def approve() -> dict[str, Any]:
    """Accepting every change, deletes included, and approving."""
    changeset = Changeset.objects.latest("pk")
    actor = actors.of_user(get_user_model().objects.get())
    with Clock() as clock:
        numbers = tuple(changeset.changes.values_list("number", flat=True))
        decided = review.decide(
            changeset.pk, review.Selection(numbers=numbers), Decision.ACCEPTED, actor, revision=0
        )
        review.approve(changeset.pk, actor, revision=decided.revision)
    return clock.result(accepted=decided.count)


def applied() -> dict[str, Any]:
    """Applying the approved changeset: checks, writes, read-back, History and audit."""
    changeset = Changeset.objects.latest("pk")
    actor = actors.of_user(get_user_model().objects.get())
    with Clock() as clock:
        apply.request_apply(changeset.pk, actor)
        done = apply.run_apply(changeset.pk)
    outcomes = done.changes.values_list("outcome").annotate(models.Count("pk"))
    return clock.result(
        state=done.state, error=done.state_reason, outcomes=dict(outcomes.order_by()), left=_left()
    )


def main(name: str, *arguments: str) -> None:
    print(json.dumps(globals()[name](*arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])
