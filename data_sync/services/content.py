"""What a stored change says, in the forms that seals and exports use."""

from __future__ import annotations

from typing import Any

from data_sync.core.records import FileValue, Record
from data_sync.core.states import Operation
from data_sync.models import Change


def change_content(change: Change) -> dict[str, Any]:
    """Everything that never alters once stored: what the content seal covers."""
    return {
        "number": change.number,
        "model": change.model,
        "operation": change.operation,
        "natural_key": change.key,
        "before": change.before,
        "after": change.after,
        "diff": change.diff,
        "files": change.files,
        "carried": change.carried,
        "before_digest": change.before_digest,
        "after_digest": change.after_digest,
        "requires": change.requires,
        "cascades": change.cascades,
        "problems": change.problems,
    }


def after_record(change: Change) -> Record:
    """The record that a create or update leads to."""
    return _record(change, change.after, "after")


def before_record(change: Change) -> Record:
    """The record that an update or delete starts from."""
    return _record(change, change.before, "before")


def _record(change: Change, fields: dict[str, Any], side: str) -> Record:
    return Record(
        model=change.model,
        key=tuple(change.key),
        fields=fields,
        files={name: None if sides[side] is None else FileValue(**sides[side]) for name, sides in change.files.items()},
        carried=change.carried.get(side, {}),
    )


def wanted_files(change: Change) -> dict[str, FileValue]:
    """The files whose bytes must come from the source, by field."""
    if change.operation == Operation.DELETE:
        return {}
    return {
        name: FileValue(**sides["after"])
        for name, sides in change.files.items()
        if sides["after"] is not None and _checksum(sides["after"]) != _checksum(sides["before"])
    }


def _checksum(file: dict[str, Any] | None) -> str | None:
    return None if file is None else file["checksum"]
