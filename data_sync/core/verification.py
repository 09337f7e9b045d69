"""Verifying an exported changeset: everything that it says of itself is computed again, line by line.

What a file alone shows is that it agrees with itself. Whoever alters it and computes every digest anew makes another
file that does, too; only a code under a key that he has not got tells the two apart.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import IO, Any

from . import canonical, export_members
from .errors import DataSyncError, InvalidInput
from .event_states import possible_states
from .export_form import DocumentReader, Proof
from .macs import Keyring, MacKey, same
from .seal import Decided, RemainsDigest, approval_seal_of_lines, content_seal_of_digests, event_hash, proof_digest
from .states import ChangesetState, Decision

MOST_FAULTS = 20
UNCODED = (
    "Some events have no code under a key: they are from before DATA_SYNC_AUDIT_KEYS was set, or somebody has made "
    "them anew without it."
)
_BLOCK = 1 << 16
_PULLED = ("compared", "conflicts", "guards", "omitted", "requested_by", "reverts", "source")
"""Members of the changeset of which the first event says the same; its actor is who asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that is not as it has to be. `part` is "file", "document", "changeset", "change", "event", "mark",
    "kept row" or "staged file", `number` which of them, `member` what of it. `chain` is whose, where it could be
    another's: "changeset:42"."""

    part: str
    number: int | None = None
    member: str = ""
    message: str
    chain: str = ""

    @property
    def where(self) -> str:
        words = self.part if self.number is None else f"{self.part} {self.number}"
        words = f"{words}: {self.member}" if self.member else words
        return f"{self.chain}, {words}" if self.chain else words

    def to_plain(self) -> dict[str, Any]:
        return {
            "chain": self.chain,
            "part": self.part,
            "number": self.number,
            "member": self.member,
            "message": self.message,
        }


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What came out. `faults` has the first `MOST_FAULTS`; `unchecked` says of what it could not be told, and why;
    `keyed` is how many events had a code that was checked, `key` the id of the key that the whole document has one
    under, if that was checked."""

    number: int | None = None
    state: str = ""
    changes: int = 0
    events: int = 0
    keyed: int = 0
    key: str | None = None
    purged: bool = False
    faults: list[Fault] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def matches(self) -> bool:
        return not self.faults

    def blame(self, part: str, number: int | None, member: str, message: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(part=part, number=number, member=member, message=message))

    def leave_unchecked(self, what: str) -> None:
        if what not in self.unchecked and len(self.unchecked) < MOST_FAULTS:
            self.unchecked.append(what)


def verify_document(lines: Iterable[bytes], keyring: Keyring, *, folder: str | None = None) -> Verdict:
    """Reads a document once, in bounded memory; `folder` is where what grows with it is put by.

    Raises `InvalidInput` for another format, or a major version of it that is not known here.
    """
    with closing(_Verification(keyring, folder)) as verification:
        reader = DocumentReader(lines)
        try:
            for section, value in reader:
                match section:
                    case "changes":
                        verification.change(value)
                    case "events":
                        verification.event(value)
                    case "":
                        verification.members(value)
        except InvalidInput:
            raise
        except DataSyncError as error:
            verification.verdict.blame("file", None, reader.place, f"{_capital(str(error))}.")
        else:
            assert reader.proof is not None
            verification.end(reader.proof)
        return verification.verdict


class _Verification:
    """What has to be remembered of a document from its first line to its last."""

    def __init__(self, keyring: Keyring, folder: str | None) -> None:
        self.verdict = Verdict()
        self._keyring = keyring
        self._decisions: IO[bytes] = tempfile.TemporaryFile(dir=folder)
        self._digests: IO[bytes] = tempfile.TemporaryFile(dir=folder)
        self._remains = RemainsDigest()
        self._counts: dict[str, Counter[Any]] = {
            name: Counter() for name in ("operation", "decision", "outcome", "conflict", "purged")
        }
        self._head: dict[str, Any] | None = None
        self._previous = ""
        self._is_keyed = False
        self._states: Iterable[ChangesetState] = ()
        self._latest: dict[str, dict[str, Any]] = {}
        self._first: tuple[str, dict[str, Any]] | None = None

    def close(self) -> None:
        self._decisions.close()
        self._digests.close()

    # Changes

    def change(self, change: Any) -> None:
        verdict, number = self.verdict, self.verdict.changes + 1
        verdict.changes = number
        if wrong := export_members.problem(change, export_members.CHANGE, export_members.CHANGE_AT_TIMES):
            return verdict.blame("change", number, "", f"Of change {number}, {wrong}.")
        if change["number"] != number:
            verdict.blame(
                "change",
                number,
                "number",
                f"Change {change['number']} is where change {number} has to be: one was "
                "added or removed, or they are in another order.",
            )
        is_purged = "purged" in change
        if is_purged:
            self._remains.add(canonical.dumps(change))
        for side in ("before", "after"):
            self._check_record(change, side, number, is_purged=is_purged)
        if is_purged:
            digest = change["content_digest"]
        else:
            digest = canonical.digest(canonical.dumps(export_members.content_of(change)))
        if digest != change["content_digest"]:
            verdict.blame(
                "change",
                number,
                "content_digest",
                f"What change {number} says is not what its content digest is of: one of the two was altered.",
            )
        # What it states, so that one altered change is no fault of the seal, too.
        self._digests.write(f"{change['content_digest']}\n".encode())
        self._decisions.write(
            Decided(
                change["number"],
                change["decision"],
                change["kept_fields"],
                change["acknowledged_digest"],
                change["rename_choice"],
            ).line()
        )
        counts = self._counts
        counts["operation"][change["operation"]] += 1
        counts["decision"][change["decision"]] += 1
        counts["outcome"][change["outcome"]] += 1
        counts["conflict"][bool(change["conflict"])] += 1
        counts["purged"][is_purged] += 1

    def _check_record(self, change: Mapping[str, Any], side: str, number: int, *, is_purged: bool) -> None:
        fields, stated = change[side], change[f"{side}_digest"]
        if is_purged:
            if fields is not None:
                words = f"Change {number} says that its values are purged, and has some."
                self.verdict.blame("change", number, side, words)
            return
        try:
            digest = "" if fields is None else record_digest(change, side)
        except (KeyError, TypeError, AttributeError):
            words = f"Of change {number}, the files are not what they have to be."
            self.verdict.blame("change", number, "files", words)
            return
        if digest != stated:
            self.verdict.blame(
                "change",
                number,
                f"{side}_digest",
                f"The record of change {number}, “{side}”, is not the one that its digest is of.",
            )

    # The changeset

    def members(self, members: Mapping[str, Any]) -> None:
        if "changeset" not in members:
            return
        head = members["changeset"]
        if wrong := export_members.problem(head, export_members.CHANGESET):
            return self.verdict.blame("changeset", None, "", f"Of the changeset, {wrong}.")
        self._head = head
        self.verdict.number, self.verdict.state = head["number"], head["state"]
        self.verdict.purged = head["purged_at"] is not None
        if self._seal() != head["seal"]:
            self.verdict.blame(
                "changeset",
                None,
                "seal",
                "The content seal is not that of these changes: a change was added, removed or altered.",
            )
        if head["approval_seal"] and self._approval_seal(head["seal"]) != head["approval_seal"]:
            self.verdict.blame(
                "changeset",
                None,
                "approval_seal",
                "The approval seal is not that of these decisions: one was altered after the approval.",
            )
        operations = self._counts["operation"]
        if {name: count for name, count in head["counts"].items() if count} != dict(operations):
            words = f"The changes are {_listed(operations)}, which is not what it counts."
            self.verdict.blame("changeset", None, "counts", words)
        purged = self._counts["purged"]
        if self.verdict.changes and purged[True] != (self.verdict.changes if self.verdict.purged else 0):
            self.verdict.blame(
                "changeset",
                None,
                "purged_at",
                f"Of {self.verdict.changes} changes, {purged[True]} are purged: "
                "either all have to be, and the changeset says when, or none.",
            )
        if not self.verdict.purged and self._counts["conflict"][True] != head["conflicts"]:
            self.verdict.blame("changeset", None, "conflicts", "It counts other conflicts than its changes have.")

    def _seal(self) -> str:
        self._digests.seek(0)
        return content_seal_of_digests(line.decode()[:-1] for line in self._digests)

    def _approval_seal(self, seal: str) -> str:
        self._decisions.seek(0)
        return approval_seal_of_lines(seal, iter(lambda: self._decisions.read(_BLOCK), b""))

    # Events

    def event(self, event: Any) -> None:
        verdict, number = self.verdict, self.verdict.events + 1
        verdict.events = number
        if wrong := export_members.problem(event, export_members.EVENT):
            return verdict.blame("event", number, "", f"Of event {number}, {wrong}.")
        if event["number"] != number:
            verdict.blame(
                "event",
                number,
                "number",
                f"Event {event['number']} is where event {number} has to be: one was added "
                "or removed, or they are in another order.",
            )
        elif event["previous"] != self._previous:
            verdict.blame("event", number, "previous", f"Event {number} does not follow the one before it.")
        content = {name: event[name] for name in ("number", "at", "actor", "action", "detail")}
        if event_hash(event["previous"], content) != event["hash"]:
            verdict.blame("event", number, "hash", f"What event {number} says is not what its hash is of.")
        self._check_mac(event, number)
        self._previous = event["hash"]
        self._states = possible_states(tuple(self._states), event["action"])
        if self._first is None:
            self._first = event["action"], {"requested_by": event["actor"], **event["detail"]}
        if event["action"] in ("approved", "applied", "purged"):
            self._latest[event["action"]] = event["detail"]

    def _check_mac(self, event: Mapping[str, Any], number: int) -> None:
        key_id, mac = event["mac_key"], event["mac"]
        if not key_id or not mac or self._head is None:
            if self._is_keyed:
                self.verdict.blame("event", number, "mac", f"Event {number} has no code, though events before it have.")
            return
        self._is_keyed = True
        key = self._key(key_id, "events")
        if key is None:
            return
        if same(key.of_event(f"changeset:{self._head['number']}", event["number"], event["hash"]), mac):
            self.verdict.keyed += 1
        else:
            words = f"Event {number} was not made here: its code is not that of key {key_id}."
            self.verdict.blame("event", number, "mac", words)

    def _key(self, key_id: str, what: str) -> MacKey | None:
        key = self._keyring.get(key_id)
        if key is None:
            self.verdict.leave_unchecked(f"The codes of the {what} cannot be checked: {missing_key(key_id)}")
        return key

    # The end

    def end(self, proof: Proof) -> None:
        head, verdict = self._head, self.verdict
        if head is None:
            if not verdict.faults:
                verdict.blame("changeset", None, "", "The document has no changeset.")
        else:
            for fault in self._cross_checks(head):
                verdict.blame(*fault)
        if self._keyring and verdict.events and not self._is_keyed:
            verdict.leave_unchecked(UNCODED)
        if proof_digest(proof.before, proof.key, proof.mac) != proof.digest:
            verdict.blame("document", None, "proof", "The file is not the one that was exported: its digest differs.")
        if proof.key is None or proof.mac is None:
            verdict.leave_unchecked(
                "Who made the file cannot be told: it has no code under a key. Somebody who altered it and computed "
                "every digest anew would pass."
            )
            return
        key = self._key(proof.key, "file")
        if key is None:
            return
        if same(key.of_document(proof.before), proof.mac):
            verdict.key = proof.key
        else:
            words = f"The file was not made here, or altered: its code is not that of key {proof.key}."
            verdict.blame("document", None, "proof", words)

    def _cross_checks(self, head: Mapping[str, Any]) -> Iterator[tuple[str, int | None, str, str]]:
        if head["chain"] != {"length": self.verdict.events, "head": self._previous}:
            words = "Its chain of events ends elsewhere: events were added or removed at its end."
            yield "changeset", None, "chain", words
        action, detail = self._first or ("", {})
        if action != "pulled":
            yield "event", 1, "action", "The first event is not the pull."
        elif detail.get("content_seal") != head["seal"]:
            yield "event", 1, "content_seal", "The changes were sealed otherwise when they were pulled."
        elif detail.get("counts") != head["counts"]:
            yield "event", 1, "counts", "Other changes were counted when they were pulled."
        else:
            for member in _PULLED:
                if member in head and member in detail and head[member] != detail[member]:
                    yield "changeset", None, member, f"Its “{member}” is not what the first event says."
        state = head["state"]
        if self.verdict.events and state not in self._states:
            yield "changeset", None, "state", f"It is {state}, and its events say otherwise."
        approved, applied = self._latest.get("approved"), self._latest.get("applied")
        if head["approval_seal"] and (approved is None or approved.get("approval_seal") != head["approval_seal"]):
            yield "changeset", None, "approval_seal", "The latest approval has another seal."
        if state in (ChangesetState.APPLIED, ChangesetState.REVERTED) and applied is not None:
            if applied.get("approval_seal") != head["approval_seal"]:
                yield "changeset", None, "approval_seal", "What was applied had another seal."
            found = {name: count for name, count in self._counts["outcome"].items() if name is not None}
            stated = applied.get("outcomes")
            if not isinstance(stated, dict) or {name: count for name, count in stated.items() if count} != found:
                words = f"The outcomes of its changes are {_listed(found)}, and the event says otherwise."
                yield "changeset", None, "outcome", words
        if head["approval_seal"] and approved is not None:
            decisions = {name: self._counts["decision"][name.value] for name in Decision}
            stated = approved.get("counts")
            if not isinstance(stated, dict) or any(stated.get(name.value, 0) != n for name, n in decisions.items()):
                yield "changeset", None, "decision", "Other decisions were counted at the approval."
        if self.verdict.purged:
            purged = self._latest.get("purged")
            if purged is None:
                yield "changeset", None, "purged_at", "Its values are gone, and no event says that they were purged."
            elif purged.get("remains") != self._remains.digest:
                words = "What is left of its changes is not what was left of them when they were purged."
                yield "changeset", None, "purged_at", words


def record_digest(change: Mapping[str, Any], side: str) -> str:
    """The digest of one of an exported change's records."""
    key = change["natural_key"]
    if side == "before" and change["previous_key"] is not None:
        key = change["previous_key"]
    files = {}
    for name, sides in change["files"].items():
        file = sides[side]
        files[name] = None if file is None else {"checksum": file["checksum"], "size": file["size"]}
    leaf = [change["leaves"][side]] if "leaves" in change else []
    return canonical.digest(canonical.dumps([change["model"], key, change[side], files, *leaf]))


def missing_key(key_id: str) -> str:
    """Why something under this key is not checked."""
    return f"key {key_id[:40]} is not in DATA_SYNC_AUDIT_KEYS."


def _listed(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=str)) or "none"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
