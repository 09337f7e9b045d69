"""Conflicts: rows here that have moved away from what both sides last agreed on, and who moved them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.apps import apps
from django.db.models import Max, Model, Q
from django.db.models.functions import Substr

from data_sync.core.packed import DIGEST
from data_sync.core.records import Record
from data_sync.core.redaction import Redaction
from data_sync.core.states import Outcome, PullState
from data_sync.models import Change, Changeset, DataPull, DataSource

from .comparison import Sides
from .content import incoming_record, key_digest, pulled_record

LOOKED_BACK = 20
"""So many of a source's latest pulls are asked when it last agreed on a row."""
_OUR_ENTRY = re.compile(r"Changeset (\d{1,9}) from ")
"""How `services.history` begins what it writes into the admin log."""

GONE = bytes(DIGEST)
"""The base where it was agreed that there is no row: no digest is all zeros. Reverts have such bases."""
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
    """Looks up what a batch of differences needs: a constant number of queries for each model with conflicts.

    Bases are those of `source`. Whoever made the last entry in the admin log is named only where that is known to be
    newer than the agreement with it; without a source nobody is. Of models with redacted fields, what was agreed on is
    given under the changeset's own `redaction`, and looked up by the records of changes: their digests have other keys.
    """

    def __init__(self, batch: Sequence[Sides], using: str, source: DataSource | None, redaction: Redaction) -> None:
        self._using = using
        self._redaction = redaction
        self._source = source
        kinds = {sides.entry.number: _kind(sides) for sides in batch}
        self._kinds = {number: kind for number, kind in kinds.items() if kind}
        self._bases: dict[tuple[Row, str], dict[str, Any]] = {}
        self._movers: dict[Row, tuple[str, str]] = {}
        self._pks: dict[int, str] = {}
        for group in _by_model(sides for sides in batch if sides.entry.number in self._kinds):
            self._look_up(group)

    def of(self, sides: Sides) -> Standing:
        base = sides.entry.base
        if base is None or (base == GONE and sides.before is None):
            return Standing()
        kind, label = self._kinds.get(sides.entry.number), sides.entry.schema.label
        base_digest = self._redaction.token(label, base.hex())
        if kind is None:
            return Standing(base_digest=base_digest)
        by, at = self._movers.get((label, self._pks.get(sides.entry.number, "")), ("", ""))
        after = sides.after
        # Where only this side has moved, what comes in is what was agreed on.
        is_base = after is not None and after.digest().removeprefix("sha256:").startswith(base.hex())
        known = self._bases.get(((label, _key_digest(sides)), base.hex()))
        return Standing(
            base_digest=base_digest,
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
        keys = {self._pks[sides.entry.number]: _key_digest(sides) for sides in group if sides.entry.number in self._pks}
        # A pull that proposes the row below a renamed one, or renames it, does so under the key that it is to have.
        to_come = {key_digest(sides.entry.key_text): _key_digest(sides) for sides in group}
        agreed = self._agreed_at(label, to_come | {key: key for key in keys.values()})
        present = set(map(str, pks.values()))
        for pk, who, at in self._newest_entries(model, present, keys.keys() - present):
            moment = agreed.get(keys[pk])
            if moment is not None and at > moment:
                self._movers[label, pk] = (who, at.astimezone(UTC).isoformat())

    def _records(self, label: str, bases: Collection[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], Any]]:
        """The fields behind digests, by key digest and base, from changes that had such a record on a side."""
        if self._redaction.of(label):
            yield from self._records_by_content(label, bases)
            return
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

    def _records_by_content(
        self, label: str, bases: Collection[tuple[str, str]]
    ) -> Iterator[tuple[tuple[str, str], Any]]:
        """The same of a model with redacted fields, whose records are hashed anew: the latest first, as the base was
        agreed on not long ago, and until all are found."""
        left = set(bases)
        changes = self._changes(label, {key for key, _ in bases}).order_by("-pk")
        for change in changes.iterator(chunk_size=200) if left else ():
            for record in (change.before and pulled_record(change), change.after and incoming_record(change)):
                if record and (found := (change.key_digest, _hex(record))) in left:
                    left.remove(found)
                    yield found, dict(record.fields)
            if not left:
                return

    def _former_pks(self, label: str, keys: Collection[str]) -> dict[str, Any]:
        """The primary keys that rows which are gone have had here, as far as a change has told."""
        newest = (
            self._changes(label, keys).filter(local_pk__isnull=False).values("key_digest").annotate(newest=Max("pk"))
        )
        changes = Change.objects.using(self._using).filter(pk__in=[row["newest"] for row in newest])
        return dict(changes.values_list("key_digest", "local_pk"))

    def _agreed_at(self, label: str, keys: Mapping[str, str]) -> dict[str, datetime]:
        """By key digest, a moment at which the agreement on the row was there already: it is no later, and as early as
        can be told. A complete pull agreed on the rows that it proposed no change of, an apply on those it wrote.

        `keys` has the digest to give a moment for, by each under which changes may have spoken of the row.
        """
        if self._source is None or not keys:
            return {}
        pulls = DataPull.objects.using(self._using).filter(source=self._source, state=PullState.DONE.value)
        newest = pulls.order_by("-finished_at", "-pk").values_list("pk", "finished_at", "report")[:LOOKED_BACK]
        latest = [(pk, at, report) for pk, at, report in newest if at is not None]
        moments = {pk: at for pk, at, report in latest if any(row["label"] == label for row in report["models"])}
        changes = self._changes(label, keys).filter(changeset__source=self._source)
        proposals = changes.filter(changeset__pull__in=moments).values_list("key_digest", "changeset__pull")
        proposed = {(keys[key], pull) for key, pull in proposals}
        written = Q(outcome__in=[Outcome.APPLIED.value, Outcome.UNCHANGED.value], changeset__applied_at__isnull=False)
        applied = changes.filter(written).values_list("key_digest").annotate(at=Max("changeset__applied_at"))
        agreed: dict[str, datetime] = {}
        for key, at in applied:
            agreed[keys[key]] = max(at, agreed.get(keys[key], at))
        # Where none of the pulls agreed, an older one did.
        oldest = [latest[-1][1]] if len(latest) == LOOKED_BACK else []
        for key in set(keys.values()):
            found = [at for pk, at in moments.items() if (key, pk) not in proposed][:1] or oldest
            if found:
                agreed[key] = max(found[0], agreed.get(key, found[0]))
        return agreed

    def _changes(self, label: str, keys: Collection[str]) -> Any:
        return Change.objects.using(self._using).filter(model=label, key_digest__in=keys).order_by()

    def _newest_entries(
        self, model: type[Model], present: set[str], gone: set[str]
    ) -> Iterator[tuple[str, str, datetime]]:
        """Per primary key, who made the newest entry of the admin log and when; of rows gone, only if it says so.

        None where an apply from this source made it: that is the agreement, not the move away from it.
        """
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
        latest = list(entries.filter(pk__in=[row["newest"] for row in newest]).select_related("user"))
        numbers = {entry.pk: int(ours[1]) for entry in latest if (ours := _OUR_ENTRY.match(entry.change_message))}
        changesets = Changeset.objects.using(self._using).filter(pk__in=set(numbers.values()), source=self._source)
        from_here = set(changesets.values_list("pk", flat=True))
        for entry in latest:
            pk = entry.object_id or ""
            if numbers.get(entry.pk) not in from_here and (pk in present or entry.action_flag == DELETION):
                yield pk, entry.user.get_username(), entry.action_time


def _kind(sides: Sides) -> str:
    """What the row here was where it is not what was agreed on; "" where it is, or nothing is known.

    The digest is the listing's: below a renamed parent, `before` has another key than the row.
    """
    if sides.entry.base in (None, sides.entry.here_digest):
        return ""
    if sides.entry.base == GONE and sides.before is None:
        return ""
    return "removed" if sides.before is None else "changed"


def _hex(record: Record) -> str:
    """The first 16 bytes of a record's plain digest."""
    return record.digest().removeprefix("sha256:")[:32]


def _key_digest(sides: Sides) -> str:
    """That of the key which the row has, or had, here."""
    return key_digest(sides.entry.here_key_text)


def _by_model(batch: Iterable[Sides]) -> Iterator[list[Sides]]:
    groups: dict[str, list[Sides]] = {}
    for sides in batch:
        groups.setdefault(sides.entry.schema.label, []).append(sides)
    yield from groups.values()
