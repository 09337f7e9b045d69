"""What data_sync is measured at, each step in a process of its own (see `step`), and what prepares it.

Imports, set-up and what a step needs to know in advance are done before its clock starts; so are those imports that
data_sync leaves to its first pull, and a process does once.
"""

from __future__ import annotations

import json
import tempfile
import urllib.parse
import urllib.request
from typing import Any
from unittest import mock

import deepdiff  # noqa: F401
import requests  # noqa: F401
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import models

from data_sync.core.states import ChangesetState, Decision, Operation
from data_sync.models import Change, Changeset, DataSource
from data_sync.services import actors, approval, both_sides, review, sources
from data_sync.services import apply as applying
from data_sync.services import document as documents
from data_sync.services import pull as pulling
from data_sync.services import verify as verifying
from tests.benchmarks import data
from tests.benchmarks.app.models import Country, Language, Tag, Text

from .instruments import Clock, parts

STEPS = (
    "fill",
    "edit",
    "add_source",
    "pull",
    "pull_without_baselines",
    "export",
    "digests",
    "approve",
    "apply",
    "plain_dump",
    "document",
    "verify",
    "verify_stored",
)
TOKEN = settings.DATA_SYNC_EXPORT_TOKEN

#: Parts of a pull and of an apply: module, attribute, and what it is called in the table.
PULL = (
    ("data_sync.services.pulling", "BothSides.find", "read both sides"),
    ("data_sync.services.pulling", "BothSides.comparison", "compare"),
    ("data_sync.services.pulling", "_fetch_files", "look for files"),
    ("data_sync.services.pulling", "prepare", "describe"),
    ("data_sync.services.pulling", "store_changeset", "store"),
    ("data_sync.services.pulling", "supersede", "supersede"),
    ("data_sync.services.baselines", "Baselines.store", "store baselines"),
)
APPLY = (
    ("data_sync.services.apply", "current_approval_seal", "recompute the seal"),
    ("data_sync.services.apply", "Plan", "read the plan"),
    ("data_sync.services.apply", "check_rows", "compare the rows again"),
    ("data_sync.services.apply", "write_rows", "write"),
    ("data_sync.services.apply", "read_back", "read back"),
    ("data_sync.services.apply", "record_written", "baselines"),
    ("data_sync.services.apply", "store_success", "outcomes"),
    ("data_sync.services.apply", "record_history", "History"),
)


# Preparing


def fill(rows: str) -> dict[str, Any]:
    data.fill(int(rows))
    get_user_model().objects.create_superuser("editor")
    return {"bytes_per_row": data.bytes_per_row()}


def edit(updates: str) -> dict[str, Any]:
    return data.edit(int(updates))


def add_source(url: str) -> dict[str, Any]:
    DataSource.objects.all().delete()
    sources.add_source("Staging", f"{url}/api", TOKEN, actors.command_line())
    return {}


# Reading


def pull() -> dict[str, Any]:
    """A pull over HTTP, up to the stored changeset."""
    request = pulling.request_pull(DataSource.objects.get(), [], actors.command_line())
    with Clock() as clock, parts(PULL) as found:
        done = pulling.run_pull(request.pk)
    return clock.result(
        parts=found,
        state=done.state,
        error=done.error,
        compared=done.compared,
        counts={
            operation.value: sum(row.get(operation.value, 0) for row in done.report.get("models", ()))
            for operation in (Operation.CREATE, Operation.UPDATE, Operation.DELETE)
        },
    )


def pull_without_baselines() -> dict[str, Any]:
    """The same, but nothing that was agreed on is looked up or kept: what baselines cost is the difference."""
    baselines = both_sides.Baselines
    with mock.patch.object(both_sides, "Baselines", lambda source, shapes: baselines(None, shapes)):
        return pull()


def export(url: str) -> dict[str, Any]:
    """All records of the source over HTTP, thrown away here: what answering costs."""
    return _fetched(url, "export")


def digests(url: str) -> dict[str, Any]:
    """The source's listing of digests, if it can make one."""
    with _opened(url, "manifest") as answer:
        if "digests" not in json.load(answer).get("features", ()):
            return {}
    return _fetched(url, "digests")


def _fetched(url: str, name: str) -> dict[str, Any]:
    labels = ",".join(model._meta.label_lower for model in (Country, Language, Tag, Text))
    with Clock() as clock, _opened(url, name, models=labels) as answer:
        size = 0
        while block := answer.read(1 << 16):
            size += len(block)
    return clock.result(bytes=size)


def _opened(url: str, name: str, **query: str) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "gzip" if name == "export" else "identity"}
    address = f"{url}/api/data_sync/{name}?{urllib.parse.urlencode(query)}"
    return urllib.request.urlopen(urllib.request.Request(address, headers=headers))


# Reviewing and writing


def approve() -> dict[str, Any]:
    """Accepting every change, deletes included, and approving."""
    changeset = Changeset.objects.latest("pk")
    actor = actors.of_user(get_user_model().objects.get())
    if changeset.state == ChangesetState.BLOCKED:  # Where more rows go than is usual anywhere.
        approval.override(changeset.pk, actor, "a benchmark")
    with Clock() as clock:
        accepted = 0
        for selection in (review.Selection(), review.Selection(operation=Operation.DELETE.value)):
            decided = review.decide(changeset.pk, selection, Decision.ACCEPTED, actor, revision=None)
            accepted += decided.count
        approval.approve(changeset.pk, actor, revision=decided.revision)
    return clock.result(accepted=accepted)


def apply() -> dict[str, Any]:
    """Applying the approved changeset: checks, writes, read-back, History and audit."""
    changeset = Changeset.objects.latest("pk")
    actor = actors.of_user(get_user_model().objects.get())
    with Clock() as clock, parts(APPLY) as found:
        applying.request_apply(changeset.pk, actor)
        done = applying.run_apply(changeset.pk)
    outcomes = done.changes.values_list("outcome").annotate(models.Count("pk"))
    return clock.result(
        parts=found,
        state=done.state,
        error=done.state_reason,
        outcomes=dict(outcomes.order_by()),
        equal=data.are_equal(),
    )


def plain_dump() -> dict[str, Any]:
    """What exporting costs where nothing is sealed, redacted or checked: the changes' columns as JSON, a row a line."""
    changes = Changeset.objects.latest("pk").changes.order_by("number")
    columns = [field.attname for field in Change._meta.concrete_fields]
    with tempfile.TemporaryFile("w", encoding="utf-8") as file, Clock() as clock:
        for row in changes.values_list(*columns).iterator():
            json.dump(row, file)
            file.write("\n")
        size = file.tell()
    return clock.result(characters=size)


def document() -> dict[str, Any]:
    """The applied changeset as one JSON document."""
    changeset = Changeset.objects.latest("pk")
    with Clock() as clock:
        size = sum(len(line) for line in documents.changeset_document(changeset, actors.command_line()))
    return clock.result(characters=size)


def verify() -> dict[str, Any]:
    """That document, verified with nothing but the file."""
    changeset, actor = Changeset.objects.latest("pk"), actors.command_line()
    with tempfile.TemporaryFile() as file:
        for line in documents.changeset_document(changeset, actor):
            file.write(line.encode())
        with Clock() as clock:
            verdict = verifying.verify_file(file, actor)
    return clock.result(changes=verdict.changes, faults=[fault.where for fault in verdict.faults])


def verify_stored() -> dict[str, Any]:
    """All that is stored: changesets, chains and the ledger."""
    with Clock() as clock:
        found = verifying.verify_all(actors.command_line())
    return clock.result(changes=found.changesets, faults=[fault.where for fault in found.faults])
