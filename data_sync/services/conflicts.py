"""Conflicts: rows here that have moved away from what both sides last agreed on, and who moved them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from django.apps import apps
from django.db.models import Max, Model
from django.db.models.functions import Substr

from data_sync.models import Change

from .comparison import Sides

_OUR_ENTRY = re.compile(r"Changeset \d+ from ")
"""How `services.history` begins what it writes into the admin log: the agreement, not the move away from it."""

Row = tuple[str, str]
"""A model's label, and a key digest or the text of a primary key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a change stands to what was last agreed on, as `Change.base_digest`, `base` and `conflict` say it.

    `base` is looked up for conflicts only: elsewhere the agreed record is the local one.
    """

    base_digest: str = ""
    base: dict[str, Any] | None = None
    conflict: dict[str, str] = field(default_factory=dict)


class Conflicts:
    """Looks up what a batch of differences needs: a constant number of queries for each model with conflicts."""

    def __init__(self, batch: Sequence[Sides], using: str) -> None:
        self._using = using
        kinds = {sides.entry.number: _kind(sides) for sides in batch}
        self._kinds = {number: kind for number, kind in kinds.items() if kind}
        self._bases: dict[tuple[Row, str], dict[str, Any]] = {}
        self._movers: dict[Row, tuple[str, str]] = {}
        self._pks: dict[int, str] = {}
        for group in _by_model(sides for sides in batch if sides.entry.number in self._kinds):
            self._look_up(group)

    def of(self, sides: Sides) -> Standing:
        base = sides.entry.base
        if base is None:
            return Standing()
        kind = self._kinds.get(sides.entry.number)
        if kind is None:
            return Standing(base_digest=base.hex())
        label = sides.entry.schema.label
        by, at = self._movers.get((label, self._pks.get(sides.entry.number, "")), ("", ""))
        after = sides.after
        # Where only this side has moved, what comes in is what was agreed on.
        is_base = after is not None and after.digest().removeprefix("sha256:").startswith(base.hex())
        known = self._bases.get(((label, _key_digest(sides)), base.hex()))
        return Standing(
            base_digest=base.hex(),
            base=dict(after.fields) if is_base and after is not None else known,
            conflict={"kind": kind, "by": by, "at": at},
        )

    def _look_up(self, group: Sequence[Sides]) -> None:
        label, model = group[0].entry.schema.label, group[0].entry.schema.model
        bases = {(_key_digest(sides), sides.entry.base.hex()) for sides in group if sides.entry.base is not None}
        self._bases |= {((label, key), base): fields for (key, base), fields in self._records(label, bases)}
        removed = [sides for sides in group if sides.row is None]
        former = self._former_pks(label, [_key_digest(sides) for sides in removed])
        pks = {sides.entry.number: sides.row[1] for sides in group if sides.row is not None}
        gone = {sides.entry.number: former[key] for sides in removed if (key := _key_digest(sides)) in former}
        self._pks |= {number: str(pk) for number, pk in (pks | gone).items()}
        for pk, mover in self._newest_entries(model, set(map(str, pks.values())), set(map(str, gone.values()))):
            self._movers[label, pk] = mover

    def _records(self, label: str, bases: Collection[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], Any]]:
        """The fields behind digests, by key digest and base, from changes that had such a record on a side."""
        for side in ("before", "after"):
            found = (
                self._changes(label, {key for key, _ in bases})
                .annotate(start=Substr(f"{side}_digest", len("sha256:") + 1, 32))
                .filter(start__in={base for _, base in bases})
                .values_list("key_digest", "start")
                .annotate(newest=Max("pk"))
            )
            of_change = {pk: (key, base) for key, base, pk in found if (key, base) in bases}
            rows = Change.objects.using(self._using).filter(pk__in=of_change).values_list("pk", side)
            yield from ((of_change[pk], fields) for pk, fields in rows)

    def _former_pks(self, label: str, keys: Collection[str]) -> dict[str, Any]:
        """The primary keys that rows which are gone have had here, as far as a change has told."""
        newest = (
            self._changes(label, keys).filter(local_pk__isnull=False).values("key_digest").annotate(newest=Max("pk"))
        )
        changes = Change.objects.using(self._using).filter(pk__in=[row["newest"] for row in newest])
        return dict(changes.values_list("key_digest", "local_pk"))

    def _changes(self, label: str, keys: Collection[str]) -> Any:
        return Change.objects.using(self._using).filter(model=label, key_digest__in=keys).order_by()

    def _newest_entries(
        self, model: type[Model], present: set[str], gone: set[str]
    ) -> Iterator[tuple[str, tuple[str, str]]]:
        """Per primary key, who made the newest entry of the admin log and when; of rows gone, only if it says so."""
        pks = present | gone
        if not pks or not apps.is_installed("django.contrib.admin"):
            return
        from django.contrib.admin.models import DELETION, LogEntry
        from django.contrib.contenttypes.models import ContentType

        # Rows are also edited through proxies, and through multi-table children, whose primary key is the same.
        models = [other for other in apps.get_models() if issubclass(other, model._meta.concrete_model or model)]
        types = ContentType.objects.db_manager(self._using).get_for_models(*models, for_concrete_models=False)
        entries = LogEntry.objects.using(self._using).order_by()
        newest = (
            entries.filter(content_type__in=types.values(), object_id__in=pks)
            .values("object_id")
            .annotate(newest=Max("pk"))
        )
        for entry in entries.filter(pk__in=[row["newest"] for row in newest]).select_related("user"):
            pk = entry.object_id or ""
            is_ours = _OUR_ENTRY.match(entry.change_message)
            if not is_ours if pk in present else entry.action_flag == DELETION:
                yield pk, (entry.user.get_username(), entry.action_time.astimezone(UTC).isoformat())


def _kind(sides: Sides) -> str:
    """What the row here was where it is not what was agreed on; "" where it is, or nothing is known.

    The digest is the listing's: below a renamed parent, `before` has another key than the row.
    """
    if sides.entry.base in (None, sides.entry.here_digest):
        return ""
    return "removed" if sides.before is None else "changed"


def _key_digest(sides: Sides) -> str:
    """That of the key which the row has, or had, here."""
    text = sides.entry.previous_key_text or sides.entry.key_text
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _by_model(batch: Iterable[Sides]) -> Iterator[list[Sides]]:
    groups: dict[str, list[Sides]] = {}
    for sides in batch:
        groups.setdefault(sides.entry.schema.label, []).append(sides)
    yield from groups.values()
