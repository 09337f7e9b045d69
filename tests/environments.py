"""Two environments: this process and its database are the target, a server in a child process is the source.

The source has a database of the same kind, media files, a time zone and a process of its own; what
tests write with ``.using("source")`` it serves over HTTP. What is compared here is read by plain
SQL and plain Django, never by `data_sync`.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.fields import GenericForeignKey
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import connections, models

from data_sync import registry
from data_sync.core.states import ChangesetState, Decision, PullState
from data_sync.models import Change, Changeset, DataPull
from data_sync.services import actors, apply, approval, limits, pull, review, sources

Contents = dict[str, dict[tuple[Any, ...], dict[str, Any]]]


class Environments:
    """A source and a target, and the four steps between them.

    Tables are of a few rows, of which tests have most deleted: the source's limit is 100 % of them. Empty sides and
    rows that go along hold a changeset back as everywhere.
    """

    def __init__(self, url: str, key: str, folder: Path) -> None:
        self.actor = actors.command_line()
        self.url = url
        self.source = sources.add_source("Staging", url, key, self.actor)
        limits.change_limits(self.source, self.actor, {limits.ALL: {"percent": 100}})
        self.source_media = folder / "source-media"
        self.media = folder / "media"
        self.staging = folder / "data_sync_staging"
        self._source_keys = itertools.count(1_000_001)

    # Rows and files

    def add(self, model: type[models.Model], *, only: str = "", **values: Any) -> tuple[Any, Any]:
        """The same row on both sides, under other primary keys; or `only` in "source" or "default".

        A pair means one value at the source and another at the target. Rows come back as such a pair.
        """
        rows: list[Any] = [None, None]
        for side, alias in enumerate(("source", "default")):
            if only in ("", alias):
                given = {name: value[side] if isinstance(value, tuple) else value for name, value in values.items()}
                if alias == "source" and _counts_its_rows(model):
                    given["pk"] = next(self._source_keys)
                rows[side] = model._base_manager.using(alias).create(**given)
        return rows[0], rows[1]

    def put(self, name: str, content: bytes, *, only: str = "") -> str:
        """A file in the media folder of both sides, or of one; returns its name."""
        for alias, folder in (("source", self.source_media), ("default", self.media)):
            if only in ("", alias):
                (folder / name).unlink(missing_ok=True)
                assert FileSystemStorage(location=folder).save(name, ContentFile(content)) == name
        return name

    # Steps

    def pull(self, *labels: str) -> DataPull:
        """Of these models, or of all that have rows on either side: the others, some hundred, take most of the time.

        Whole pulls, of empty tables too, are what `tests/test_main_job.py` and the tests of commands and pages make.
        """
        is_another = self.source.url != self.url  # Of which the database of the source says nothing.
        return self._pull(labels or ([] if is_another else self._filled_labels()))

    def pull_everything(self) -> DataPull:
        """Also of models that only the source has, or that have no rows."""
        return self._pull([])

    def _pull(self, labels: Collection[str]) -> DataPull:
        return pull.run_pull(pull.request_pull(self.source, labels, self.actor).pk)

    def changeset(self, *labels: str) -> Changeset:
        """Pulls, and gives the changeset; fails where there is none."""
        done = self.pull(*labels)
        assert done.state == PullState.DONE, done.error
        return Changeset.objects.get(pull=done)

    def accept(self, changeset: Changeset, *numbers: int) -> None:
        """Accepts these changes, deletes too."""
        review.decide(changeset.pk, review.Selection(numbers=numbers), Decision.ACCEPTED, self.actor, revision=None)

    def accept_all(self, changeset: Changeset) -> None:
        """All that can be applied."""
        self.accept(changeset, *changeset.changes.filter(has_problems=False).values_list("number", flat=True))

    def let_through(self, changeset: Changeset) -> Changeset:
        """Overrides the guards that hold it, if any do."""
        if changeset.state == ChangesetState.BLOCKED:
            approval.override(changeset.pk, self.actor, "a test of something else")
            changeset.refresh_from_db()
        return changeset

    def approve(self, changeset: Changeset) -> Changeset:
        changeset.refresh_from_db()
        return approval.approve(changeset.pk, self.actor, revision=changeset.revision)

    def approved(self, *labels: str) -> Changeset:
        """Pulls, accepts everything and approves, whatever guards say."""
        changeset = self.let_through(self.changeset(*labels))
        self.accept_all(changeset)
        return self.approve(changeset)

    def apply(self, changeset: Changeset) -> Changeset:
        apply.request_apply(changeset.pk, self.actor)
        return apply.run_apply(changeset.pk)

    def sync(self, *labels: str) -> Changeset:
        """All four steps; fails unless the changeset was applied."""
        changeset = self.apply(self.approved(*labels))
        assert changeset.state == ChangesetState.APPLIED, changeset.state_reason
        return changeset

    def _filled_labels(self) -> list[str]:
        known = registry.registrations()
        filled = {name for alias in ("default", "source") for name in _filled(map(_table, known), alias)}
        return [registration.label for registration in known if _table(registration) in filled]

    # What is there

    def tables(self, alias: str = "default") -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table of the test app, registered or not, as the database has it."""
        names = [
            model._meta.db_table
            for app in ("testapp", "hard")
            if apps.is_installed(f"tests.{app}")
            for model in apps.get_app_config(app).get_models(include_auto_created=True)
        ]
        filled = _filled(names, alias)
        with connections[alias].cursor() as cursor:
            return {name: _all_rows(cursor, name) if name in filled else [] for name in names}

    def contents(self, alias: str = "default") -> Contents:
        """What is synced, by model and natural key: references as natural keys, files as bytes."""
        folder = self.media if alias == "default" else self.source_media
        filled = _filled(map(_table, registry.registrations()), alias)
        return {
            registration.label: dict(_described_rows(registration, alias, folder))
            if _table(registration) in filled
            else {}
            for registration in registry.registrations()
        }

    def files(self) -> dict[str, bytes]:
        """Every file of the target's media folder."""
        return {
            path.relative_to(self.media).as_posix(): path.read_bytes()
            for path in self.media.rglob("*")
            if path.is_file()
        }

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Fails if the block altered any row of the test app, or any file, at the target."""
        before = self.tables(), self.files()
        yield
        assert (self.tables(), self.files()) == before

    def assert_equal(self) -> None:
        """Fails unless both sides hold the same, rows apart that only the target has and never deletes."""
        here, there = self.contents(), self.contents("source")
        for registration in registry.registrations():
            ours, theirs = here[registration.label], there[registration.label]
            if registration.deletes == "never":
                ours = {key: row for key, row in ours.items() if key in theirs}
            assert ours == theirs, registration.label


def decide(environments: Environments, change: Change, wanted: str = "accepted", **options: Any) -> review.Decided:
    """Decides on one change; `options` are those of `review.decide`."""
    selection = review.Selection(numbers=(change.number,))
    return review.decide(change.changeset_id, selection, Decision(wanted), environments.actor, revision=None, **options)


def applied(environments: Environments, changeset: Changeset) -> Changeset:
    """Approves and applies what was decided; fails unless all of it was applied."""
    done = environments.apply(environments.approve(changeset))
    assert done.state == "applied", (done.state_reason, list(done.changes.values_list("number", "outcome_reason")))
    return done


def _table(registration: registry.Registration) -> str:
    name: str = registration.model._meta.db_table
    return name


def _filled(tables: Iterable[str], alias: str) -> set[str]:
    """Those of the tables that have rows."""
    names, quote = list(tables), connections[alias].ops.quote_name
    asked = (f"SELECT {number}, EXISTS (SELECT 1 FROM {quote(name)})" for number, name in enumerate(names))
    with connections[alias].cursor() as cursor:
        cursor.execute(" UNION ALL ".join(asked))
        return {names[number] for number, is_filled in cursor.fetchall() if is_filled}


def _all_rows(cursor: Any, table: str) -> list[tuple[Any, ...]]:
    cursor.execute(f"SELECT * FROM {connections['default'].ops.quote_name(table)}")
    rows = [
        tuple(bytes(value) if isinstance(value, memoryview) else value for value in row) for row in cursor.fetchall()
    ]
    return sorted(rows, key=repr)


def _described_rows(
    registration: registry.Registration, alias: str, folder: Path
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    model = registration.model
    rows = model._base_manager.using(alias).all()
    for row in registration.queryset(rows) if registration.queryset else rows:
        described: dict[str, Any] = {}
        generics = [field for field in model._meta.private_fields if isinstance(field, GenericForeignKey)]
        for generic in generics:
            other = getattr(row, generic.name)
            described[generic.name] = None if other is None else (other._meta.label_lower, _key(other))
        columns = {name for generic in generics for name in (generic.ct_field, generic.fk_field)}
        for field in (*model._meta.concrete_fields, *model._meta.many_to_many):
            if field.name in registration.file_fields:
                file = getattr(row, field.name)
                described[field.name] = (folder / file.name).read_bytes() if file else None
            elif registration.fields is not None and field.name not in registration.fields:
                continue
            elif field.name in columns or field.name in registration.exclude or _belongs_to_others(field):
                continue
            elif isinstance(field, models.ManyToManyField):
                linked = field.remote_field.model._base_manager.using(alias).filter(
                    pk__in=field.remote_field.through.objects.using(alias)
                    .filter(**{field.m2m_field_name(): row.pk})
                    .values_list(field.m2m_reverse_field_name())
                )
                described[field.name] = sorted((_key(other) for other in linked), key=repr)
            elif isinstance(field, models.ForeignKey):
                other = getattr(row, field.name)
                described[field.name] = None if other is None else _key(other)
            elif not field.primary_key and not _is_automatic(field):
                described[field.name] = _plain(getattr(row, field.name))
        yield _key(row), described


def _counts_its_rows(model: type[models.Model]) -> bool:
    """Whether primary keys are numbers that the database gives out, to the row or to its first parent's."""
    field = model._meta.pk
    while field.remote_field and field.remote_field.parent_link:
        field = field.remote_field.model._meta.pk
    return isinstance(field, models.AutoField)


def _belongs_to_others(field: Any) -> bool:
    """Whether rows of another model say it (through rows), or nobody (the link to a parent that is not registered)."""
    if isinstance(field, models.ManyToManyField):
        through = field.remote_field.through
        return not through._meta.auto_created or registry.registration_of(through) is not None
    inner = bool(field.remote_field and field.remote_field.parent_link)
    return inner and registry.registration_of(field.remote_field.model) is None


def _is_automatic(field: Any) -> bool:
    return getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)


def _plain(value: Any) -> str:
    """A text, because 1, 1.0 and True are one to Python."""
    if isinstance(value, memoryview):
        return repr(bytes(value))
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else repr(value)


def _key(row: models.Model) -> tuple[Any, ...]:
    registration = registry.registration_of(type(row))
    assert registration is not None
    key = []
    for path in registration.key:
        value: Any = row
        for name in path.split("."):
            value = getattr(value, name)
        key.append(value)
    return tuple(key)


def child(module: str, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    """Starts a module of the tests as a process, with the settings of this one."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env=os.environ | environ,
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
