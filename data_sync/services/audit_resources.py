"""The columns of the audit's tables, as resources of django-import-export. Imported when a table is made, not before.

Each cell is JSON-plain: a time is UTC in ISO 8601 with its offset, a list or an object is itself. None has a value of a
redacted field.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from import_export.fields import Field
from import_export.resources import Resource
from import_export.widgets import Widget

from data_sync.core.redaction import Redaction
from data_sync.models import Change, Changeset, Event

from .content import change_content
from .redaction import redaction_of
from .seals import kept_of, rename_of


class Plain(Widget):  # type: ignore[misc]
    """The value as it is; the library's own widgets would make texts of all, and times local, without offset."""

    def render(self, value: Any, obj: Any = None, **options: Any) -> Any:
        return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _column(attribute: str = "", name: str = "") -> Field:
    return Field(attribute=attribute or None, column_name=name or attribute, widget=Plain())


class Table(Resource):  # type: ignore[misc]
    def begin(self, row: Any) -> None:
        """Called before the cells of a row are asked for."""


class ChangesetResource(Table):
    number = _column("pk", "number")
    kind = _column("kind")
    state = _column("state")
    state_reason = _column("state_reason")
    source = _column("source_name", "source")
    models = _column("model_labels", "models")
    created_at = _column("created_at")
    requested_by = _column("actor", "requested_by")
    compared = _column("compared")
    creates = _column("creates")
    updates = _column("updates")
    renames = _column("renames")
    deletes = _column("deletes")
    conflicts = _column("conflicts")
    guards = _column("guards")
    omitted = _column("omitted")
    redacted = _column("redacted")
    revision = _column("revision")
    content_seal = _column("content_seal")
    approval_seal = _column("approval_seal")
    approved_by = _column("approval_actor", "approved_by")
    approved_at = _column("approved_at")
    applied_at = _column("applied_at")
    reverts = _column("reverts_id", "reverts")
    reverted_at = _column("reverted_at")
    purged_at = _column("purged_at")


class ChangeResource(Table):
    changeset = _column("changeset_id", "changeset")
    number = _column("number")
    model = _column("model")
    operation = _column("operation")
    natural_key = _column("key", "natural_key")
    previous_key = _column("previous_key")
    decision = _column("decision")
    kept_fields = _column(name="kept_fields")
    rename_choice = _column(name="rename_choice")
    outcome = _column("outcome")
    outcome_reason = _column("outcome_reason")
    before = _column(name="before")
    after = _column(name="after")
    diff = _column(name="diff")
    files = _column(name="files")
    problems = _column("problems")
    warnings = _column("warnings")
    conflict = _column("conflict")
    redacted = _column(name="redacted")
    undoes = _column("undoes")
    reverted_by = _column("reverted_by")
    before_digest = _column("before_digest")
    after_digest = _column("after_digest")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._redaction = lru_cache(100)(self._redaction_of)
        self._content: dict[str, Any] = {}

    def begin(self, row: Change) -> None:
        self._content = change_content(row, self._redaction(row.changeset_id))

    def dehydrate_before(self, change: Change) -> Any:
        return self._content["before"]

    def dehydrate_after(self, change: Change) -> Any:
        return self._content["after"]

    def dehydrate_diff(self, change: Change) -> Any:
        return self._content["diff"]

    def dehydrate_files(self, change: Change) -> Any:
        return self._content["files"]

    def dehydrate_redacted(self, change: Change) -> Any:
        return self._content.get("redacted", [])

    def dehydrate_kept_fields(self, change: Change) -> Any:
        return kept_of(change.decision, change.kept)

    def dehydrate_rename_choice(self, change: Change) -> Any:
        return rename_of(change.operation, change.rename_choice)

    def _redaction_of(self, changeset_id: int) -> Redaction:
        return redaction_of(Changeset.objects.only("redacted", "leaf_key").get(pk=changeset_id))


class EventResource(Table):
    chain = _column("chain")
    changeset = _column("changeset_id", "changeset")
    number = _column("number")
    at = _column("at")
    actor = _column("actor")
    action = _column("action")
    detail = _column("detail")
    previous = _column("previous")
    hash = _column("hash")


RESOURCES: dict[Any, type[Table]] = {
    Changeset: ChangesetResource,
    Change: ChangeResource,
    Event: EventResource,
}
