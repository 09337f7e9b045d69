"""Changesets as a pull would have stored them, written directly: what screens show, not how it came about."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from data_sync.core import canonical
from data_sync.core.diff import diff_fields
from data_sync.core.records import key_text
from data_sync.core.redaction import Redaction
from data_sync.core.seal import content_digest, content_seal_of_digests
from data_sync.core.states import Operation
from data_sync.models import Change, Changeset, DataPull, DataSource
from data_sync.services import audit, callers
from data_sync.services.actors import Actor
from data_sync.services.content import after_record, before_record, change_content

MODEL = "testapp.term"


def change(number: int = 1, **values: Any) -> Change:
    """An unsaved change; its operation follows from which sides are given."""
    before, after = values.get("before"), values.get("after")
    operation = "update" if before is not None and after is not None else "delete" if after is None else "create"
    if values.get("previous_key") is not None:
        operation = "rename"
    key = values.pop("key", [f"word-{number}"])
    values.setdefault("cascades", [])
    values.setdefault("problems", [])
    values.setdefault("conflict", {})
    row = Change(
        number=number,
        model=values.pop("model", MODEL),
        operation=operation,
        key=key,
        key_text=key_text(tuple(key)),
        key_digest=hashlib.sha256(canonical.dumps(key).encode()).hexdigest()[:32],
        diff=[row.to_plain() for row in diff_fields(before or {}, after or {})],
        has_cascades=bool(values["cascades"]),
        has_problems=bool(values["problems"]),
        is_conflict=bool(values["conflict"]),
        **values,
    )
    row.before_digest = "" if before is None else before_record(row).digest()
    row.after_digest = "" if after is None else after_record(row).digest()
    return row


def update(number: int = 1, before: str = "old", after: str = "new", **values: Any) -> Change:
    return change(number, before=term(number, before), after=term(number, after), **values)


def create(number: int = 1, after: str = "new", **values: Any) -> Change:
    return change(number, after=term(number, after), **values)


def delete(number: int = 1, before: str = "old", **values: Any) -> Change:
    return change(number, before=term(number, before), **values)


def rename(number: int = 1, old: str = "old-key", new: str = "new-key", **values: Any) -> Change:
    before, after = {"word": old, "meaning": "the same"}, {"word": new, "meaning": "the same"}
    return change(number, key=[new], previous_key=[old], before=before, after=after, **values)


def conflict(number: int = 1, base: str | None = "agreed", **values: Any) -> Change:
    """An update of a row that was edited here, too; `base` is the meaning that both sides had."""
    values.setdefault("conflict", {"kind": "changed", "by": "tomas", "at": "2026-05-12T10:03:00+00:00"})
    known = None if base is None else term(number, base)
    return update(number, **{"before": "here", "after": "there", "base": known, "base_digest": "ab" * 16, **values})


def term(number: int, meaning: str) -> dict[str, Any]:
    return {"word": f"word-{number}", "meaning": meaning}


def readable(key: str) -> frozenset[str] | None:
    """The labels that the holder of an export key may read; None: refused."""
    caller = callers.authenticate(f"Bearer {key}")
    return None if caller is None else caller.labels


def _deep(levels: int, leaf: str) -> object:
    return leaf if not levels else {"level": _deep(levels - 1, leaf)}


def hostile_changes() -> list[Change]:
    """Fifty of them: the largest keys and values that a source may send, on each side."""
    wide, other = ({f"name{n}": n + step * (n % 2) for n in range(10_000)} for step in (0, 1))
    rows: list[Change] = []
    for before, after in ((wide, other), (None, wide), (wide, None), (_deep(50, "a"), _deep(50, "b" * 3_000))) * 8:
        sides = {side: {"json": value} for side, value in (("before", before), ("after", after)) if value is not None}
        rows.append(change(len(rows) + 1, model="testapp.everything", **sides))
    for number in range(len(rows) + 1, 51):
        long = f"{number} " + "k" * 2_000
        rows.append(change(number, key=[long], after={"word": long, "meaning": "界" * 33_000}))
    return rows


def changeset(changes: Iterable[Change] = (), **values: Any) -> Changeset:
    """A stored changeset with these changes, its counts and its seal."""
    rows = list(changes)
    for row in rows:
        row.content_digest = content_digest(canonical.dumps(change_content(row, Redaction())))
    counts = {operation.value: sum(row.operation == operation for row in rows) for operation in Operation}
    labels = list(dict.fromkeys(row.model for row in rows))
    stored = Changeset.objects.create(
        **{
            "source_name": "Staging",
            "state": "pending",
            "actor": "mira",
            "compared": 100,
            "model_labels": labels,
            "creates": counts["create"],
            "updates": counts["update"],
            "deletes": counts["delete"],
            "renames": counts["rename"],
            "conflicts": sum(row.is_conflict for row in rows),
            "summary": [_summary(label, rows) for label in labels],
            "content_seal": content_seal_of_digests(row.content_digest for row in rows),
            **values,
        }
    )
    for row in rows:
        row.changeset = stored
    Change.objects.bulk_create(rows)
    return stored


def pulled(changeset: Changeset) -> Changeset:
    """The same, with the event of its pull."""
    counts = {
        "create": changeset.creates,
        "update": changeset.updates,
        "delete": changeset.deletes,
        "rename": changeset.renames,
    }
    told = {"content_seal": changeset.content_seal, "counts": counts, "guards": [], "compared": changeset.compared}
    audit.record(changeset.pk, Actor(label=changeset.actor), "pulled", told | {"source": changeset.source_name})
    return changeset


def _summary(label: str, rows: list[Change]) -> dict[str, Any]:
    own = [row for row in rows if row.model == label]
    return {
        "label": label,
        "name": label,
        "compared": 100,
        "create": sum(row.operation == "create" for row in own),
        "update": sum(row.operation == "update" for row in own),
        "delete": sum(row.operation == "delete" for row in own),
        "rename": sum(row.operation == "rename" for row in own),
        "kept": 0,
        "cascades": sum(len(row.cascades) for row in own if row.operation != "rename"),
        "problems": sum(row.has_problems for row in own),
        "conflicts": sum(row.is_conflict for row in own),
        "warnings": sum(bool(row.warnings) for row in own),
    }


def source(name: str = "Staging") -> DataSource:
    return DataSource.objects.create(name=name, url="https://staging.example.org/api", key="env:DATA_SYNC_KEY_STAGING")


def seen(client: Any, page: str) -> dict[str, str]:
    """What the form of a page sends along of what it was made from."""
    return {"seen": client.get(page).context["form"]["seen"].value()}


def pull(**values: Any) -> DataPull:
    return DataPull.objects.create(**{"source_name": "Staging", "state": "done", "actor": "mira", **values})


def user(name: str = "mira", *permissions: str) -> Any:
    """Somebody of the staff with these permissions of `data_sync`, given by codename; "*" is a superuser."""
    if "*" in permissions:
        return get_user_model().objects.create_superuser(name, f"{name}@example.org", "secret")
    person = get_user_model().objects.create_user(name, password="secret", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return person
