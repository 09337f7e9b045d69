"""Verifying what is stored: every changeset's seals and events, every other chain, and the ledger.

Nothing is altered. What cannot be told, such as a code under a key that is not in the settings, is said apart from what
is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import IO, Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import OuterRef, Subquery

from data_sync import conf
from data_sync.core import canonical
from data_sync.core.errors import DataSyncError, InvalidInput
from data_sync.core.export_form import check_version, lines_of
from data_sync.core.macs import Keyring, same
from data_sync.core.records import key_text
from data_sync.core.seal import mark_digest
from data_sync.core.verification import MOST_FAULTS, UNCODED, Fault, Verdict, missing_key, verify_document
from data_sync.models import ChainMark, Changeset, Event
from data_sync.orm.snapshot import snapshot

from .actors import Actor
from .audit_keys import keyring
from .content import key_digest
from .document import document_lines
from .kept_rows import kept_digest, kept_seal
from .ledger import event_problem, mark_content, unmarked_chains
from .seals import current_content_seal
from .verify_files import file_faults

_CHANGESET = "changeset:"


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the ledger. Whoever notes it elsewhere can tell later whether it was cut before that."""

    sequence: int
    digest: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.digest}"


@dataclass(slots=True, kw_only=True)
class Findings:
    """What came out of all that is stored; `faults` has the first `MOST_FAULTS`. `place` is what was looked at last."""

    changesets: int = 0
    events: int = 0
    marks: int = 0
    files: int = 0
    keyed: int = 0
    head: Head | None = None
    place: str = ""
    faults: list[Fault] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def matches(self) -> bool:
        return not self.faults

    def note_file(self) -> None:
        self.files += 1

    def blame(self, fault: Fault) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)

    def leave_unchecked(self, what: str) -> None:
        if what not in self.unchecked and len(self.unchecked) < MOST_FAULTS:
            self.unchecked.append(what)


def verify_file(file: IO[bytes], actor: Actor) -> Verdict:
    """What an exported changeset says of itself, read once, in bounded memory.

    Raises `NotPermitted`, and `InvalidInput` for another format, or a major version of it that is not known here.
    """
    actor.require("data_sync.view_changeset")
    check_version(file)
    return verify_document(lines_of(file), keyring(), folder=conf.spool_dir())


def verify_changeset(changeset: Changeset, actor: Actor) -> Verdict:
    """A stored changeset, with its events. Raises `NotPermitted`."""
    actor.require("data_sync.view_changeset")
    return _stored(changeset.pk, keyring())


def verify_all(
    actor: Actor, numbers: Iterable[int] | None = None, *, noted: Head | None = None, read_files: bool = False
) -> Findings:
    """All changesets and their events, or those of these numbers; without numbers every other chain and the ledger,
    too. `noted` is an end of the ledger from earlier; `read_files`: files that were put in place or are to be, too.
    Raises `NotPermitted`, and `InvalidInput` for numbers that there are not."""
    actor.require("data_sync.view_changeset")
    keys, findings = keyring(), Findings()
    chosen = Changeset.objects.order_by("pk")
    if numbers is not None:
        wanted = sorted(set(numbers))
        chosen = chosen.filter(pk__in=wanted)
        known = set(chosen.values_list("pk", flat=True))
        if missing := [number for number in wanted if number not in known]:
            raise InvalidInput(f"There is no changeset {missing[0]}; see data_sync list.")
    for pk in list(chosen.values_list("pk", flat=True)):
        verdict = _stored(pk, keys)
        findings.changesets += 1
        findings.events += verdict.events
        findings.keyed += verdict.keyed
        for fault in verdict.faults:
            findings.blame(replace(fault, chain=f"{_CHANGESET}{pk}"))
        for what in verdict.unchecked:
            if what != UNCODED or numbers is not None:  # The ledger vouches for them, or is said to have no codes.
                findings.leave_unchecked(what)
    if read_files:
        for fault in file_faults(chosen, findings.note_file):
            findings.blame(fault)
    if numbers is None:
        with snapshot(DEFAULT_DB_ALIAS):
            for check in (_check_chains, partial(_check_ledger, noted=noted)):
                try:
                    check(findings, keys)
                except _UNREADABLE as error:
                    part = "mark" if isinstance(check, partial) else "event"
                    findings.blame(Fault(part=part, member=findings.place, message=_unreadable(error)))
    return findings


# A changeset

_UNREADABLE = (DataSyncError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading raises where somebody has stored another kind of value than belongs there."""


def _unreadable(error: Exception) -> str:
    return f"Something stored there cannot be read, so nothing after it was looked at ({type(error).__name__})."


def _stored(pk: int, keys: Keyring) -> Verdict:
    with snapshot(DEFAULT_DB_ALIAS):
        verdict = Verdict(number=pk)
        try:
            changeset = Changeset.objects.get(pk=pk)
            verdict = verify_document(document_lines(changeset), keys, folder=conf.spool_dir())
            for fault in _beside(changeset):
                verdict.blame(fault.part, fault.number, fault.member, fault.message)
        except _UNREADABLE as error:
            verdict.blame("changeset", None, "", _unreadable(error))
    # Of the document, which nobody has altered on its way.
    verdict.unchecked = [what for what in verdict.unchecked if "the file" not in what]
    return verdict


def _beside(changeset: Changeset) -> Iterator[Fault]:
    """What no export has."""
    if changeset.redacted and changeset.purged_at is None and current_content_seal(changeset) != changeset.content_seal:
        yield Fault(part="changeset", member="seal", message="The content seal is not that of the stored changes.")
    flags_of = ("problems", "conflict", "cascades")
    columns = ("number", "key", "key_digest", "key_text", "has_problems", "is_conflict", "has_cascades", *flags_of)
    for number, key, digest, text, *flags in (
        changeset.changes.order_by("number").values_list(*columns).iterator(chunk_size=500)
    ):
        if key_digest(canonical.dumps(key)) != digest:
            words = f"Change {number} is looked up by another key than it has."
            yield Fault(part="change", number=number, member="key_digest", message=words)
        if key_text(tuple(key)) != text:
            words = f"Change {number} is shown under another key than it has."
            yield Fault(part="change", number=number, member="key_text", message=words)
        if changeset.purged_at is None and flags[:3] != list(map(bool, flags[3:])):
            words = f"Whether change {number} has problems, is a conflict, or takes rows along was altered."
            yield Fault(part="change", number=number, member="has_problems", message=words)
    applied = changeset.events.filter(action="applied").order_by("-number").first()
    if applied is not None and applied.detail.get("kept_rows", "") != kept_seal(changeset):
        words = "What deletes have left for a revert is not what they left: a row was added, removed or altered."
        yield Fault(part="kept row", message=words)
    if changeset.applied_at is not None:
        # Whom a row's history names.
        for member, actions in (("approval_actor", ("approved", "auto_approved")), ("apply_actor", ("applied",))):
            event = changeset.events.filter(action__in=actions).order_by("-number").first()
            if event is not None and event.actor != getattr(changeset, member):
                words = f"Who it was is told otherwise by event {event.number}: {event.actor}."
                yield Fault(part="changeset", member=member, message=words)
    rows = changeset.kept_rows.exclude(values=None).exclude(digest="").order_by("number")
    for row in rows.iterator(chunk_size=200):
        if kept_digest(bytes(changeset.leaf_key), row) != row.digest:
            words = f"What is kept of {row.model} for a revert is not what its digest is of."
            yield Fault(part="kept row", number=row.number, message=words)


# Chains and the ledger


def _check_chains(findings: Findings, keys: Keyring) -> None:
    """Every event's place; of the chains that are no changeset's, what each says, too."""
    chain, number, previous, is_keyed = "", 0, "", False
    findings.place = "the first"
    known = dict.fromkeys(Changeset.objects.values_list("pk", flat=True))
    for event in Event.objects.order_by("chain", "number").iterator(chunk_size=500):
        if event.chain != chain:
            chain, number, previous, is_keyed = event.chain, 0, "", False
        number += 1
        findings.place = f"after {event.number} of {chain}"
        if chain.startswith(_CHANGESET):
            if event.changeset_id not in known or chain != f"{_CHANGESET}{event.changeset_id}":
                words = f"Event {event.number} belongs to another changeset than it says."
                findings.blame(Fault(chain=chain, part="event", number=event.number, member="chain", message=words))
            continue
        findings.events += 1
        if wrong := event_problem(event, number, previous, keys):
            findings.blame(Fault(chain=chain, part="event", number=number, message=wrong))
            number = event.number
        if event.mac_key:
            is_keyed = True
            _count_key(findings, keys, event.mac_key, "events")
        elif is_keyed:
            words = f"Event {number} has no code, though events before it have."
            findings.blame(Fault(chain=chain, part="event", number=number, member="mac", message=words))
        previous = event.hash


def _count_key(findings: Findings, keys: Keyring, key_id: str, what: str) -> None:
    if keys.get(key_id) is None:
        findings.leave_unchecked(f"The codes of the {what} cannot be checked: {missing_key(key_id)}")
    else:
        findings.keyed += 1


def _check_ledger(findings: Findings, keys: Keyring, noted: Head | None) -> None:
    of_event = Event.objects.filter(chain=OuterRef("chain"), number=OuterRef("number")).order_by()
    marks = ChainMark.objects.annotate(found=Subquery(of_event.values("hash")[:1])).order_by("sequence")
    previous, is_keyed, is_noted = "", False, noted is None
    findings.place = "the first"
    for mark in marks.iterator(chunk_size=500):
        findings.marks += 1
        if wrong := _mark_problem(mark, findings.marks, previous, keys, is_keyed=is_keyed):
            findings.blame(Fault(chain=mark.chain, part="mark", number=mark.sequence, message=wrong))
        if mark.mac_key:
            is_keyed = True
            if keys.get(mark.mac_key) is None:
                findings.leave_unchecked(f"The codes of the ledger cannot be checked: {missing_key(mark.mac_key)}")
        is_noted = is_noted or noted == Head(mark.sequence, mark.digest)
        previous = mark.digest
        findings.place = f"after {mark.sequence}"
        findings.marks = mark.sequence  # What is missing is told once.
        findings.head = Head(mark.sequence, mark.digest)
    if keys and findings.marks and not is_keyed:
        findings.leave_unchecked(
            "The ledger has no code under a key: nothing was recorded since keys were set, or "
            "somebody has made it anew without them."
        )
    if not is_noted:
        words = f"The ledger has no mark {noted}, which it had when that was noted: it was cut, or made anew."
        findings.blame(Fault(part="mark", number=None if noted is None else noted.sequence, message=words))
    if unmarked := sum(1 for _ in unmarked_chains()):
        findings.leave_unchecked(
            f"The ends of {unmarked} chains are not in the ledger yet; data_sync sweep puts them there."
        )


def _mark_problem(mark: Any, sequence: int, previous: str, keys: Keyring, *, is_keyed: bool) -> str:
    if mark.sequence != sequence:
        return f"Mark {sequence} of the ledger is missing."
    if mark.previous != previous:
        return f"Mark {sequence} does not follow the one before it."
    if mark_digest(previous, mark_content(mark)) != mark.digest:
        return f"What mark {sequence} says is not what its digest is of."
    key = keys.get(mark.mac_key) if mark.mac_key else None
    if key is not None and not same(key.of_mark(mark.digest), mark.mac):
        return f"Mark {sequence} was not made here: its code is not that of key {mark.mac_key}."
    if is_keyed and not mark.mac_key:
        return f"Mark {sequence} has no code, though marks before it have."
    if mark.found is None:
        return f"Event {mark.number} of {mark.chain} is gone: the chain was cut, or removed."
    if mark.found != mark.hash:
        return f"Event {mark.number} of {mark.chain} is another than when it was marked."
    return ""
