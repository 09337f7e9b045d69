"""`verify` checks an exported changeset, or those that are stored, and says where something does not fit."""

from __future__ import annotations

import argparse
import re
from typing import Any

from data_sync.core.errors import InvalidInput
from data_sync.core.verification import Fault
from data_sync.services import verify as service

from ..text.table import wrapped
from ..text.words import count, line
from .call import FOUND, Answer, Call, Verbs, number

_HEAD = re.compile(r"([1-9][0-9]{0,17}):(sha256:[0-9a-f]{64})")


def add_verbs(verbs: Verbs) -> None:
    verb = verbs.add("verify", verify, "Check an exported changeset, or those stored here, with their events")
    verb.add_argument(
        "what", nargs="*", metavar="FILE", help="an exported changeset; with --all, numbers of changesets"
    )
    verb.add_argument("--all", action="store_true", help="what is stored: all of it, or changesets by number")
    verb.add_argument("--read-files", action="store_true", help="with --all: read the files that were kept, too")
    verb.add_argument("--noted", metavar="HEAD", help="with --all: the ledger's end, as an earlier verify gave it")


def _head(text: str) -> service.Head:
    match = _HEAD.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(f"“{text}” is no end of the ledger; it looks like 17:sha256: and 64 digits.")
    return service.Head(int(match[1]), match[2])


def verify(call: Call) -> Answer:
    if call.options["all"]:
        return _verify_stored(call)
    if len(call.options["what"]) != 1 or call.options["read_files"] or call.options["noted"]:
        raise InvalidInput("Name one file; or say --all, with or without numbers of changesets.")
    [name] = call.options["what"]
    try:
        with open(name, "rb") as file:
            verdict = service.verify_file(file, call.actor)
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}.") from None
    document = {
        "file": name,
        "changeset": verdict.number,
        "state": verdict.state,
        "changes": verdict.changes,
        "events": verdict.events,
        "keyed": verdict.keyed,
        "key": verdict.key,
    }
    of = f"changeset {verdict.number}, {count(verdict.changes, 'change')}, {count(verdict.events, 'event')}"
    proven = (
        [f"It has a code under key {verdict.key}: it was made where that is, and not altered."] if verdict.key else []
    )
    return _answer(document, f"{line(name)} matches: {of}.", proven, f"{line(name)} does not match", verdict)


def _verify_stored(call: Call) -> Answer:
    chosen = [_number(text) for text in call.options["what"]] or None
    if chosen and call.options["noted"]:
        raise InvalidInput("The ledger is looked at with --all alone, without numbers of changesets.")
    noted = None if call.options["noted"] is None else _head(call.options["noted"])
    findings = service.verify_all(call.actor, chosen, noted=noted, read_files=call.options["read_files"])
    document = {
        "changesets": findings.changesets,
        "events": findings.events,
        "keyed": findings.keyed,
        "marks": findings.marks,
        "files": findings.files,
        "head": None if findings.head is None else str(findings.head),
    }
    counted = f"{count(findings.changesets, 'changeset')}, {count(findings.events, 'event')}"
    if call.options["read_files"]:
        counted += f", {count(findings.files, 'file')}"
    head = [f"The ledger ends at {findings.head}."] if findings.head is not None else []
    return _answer(document, f"What is stored matches: {counted}.", head, "What is stored does not match", findings)


def _answer(document: dict[str, Any], good: str, more: list[str], bad: str, found: Any) -> Answer:
    text = (
        [good, *more] if found.matches else [f"{bad}:", *(row for fault in found.faults for row in _fault_text(fault))]
    )
    return Answer(
        document={
            **document,
            "matches": found.matches,
            "faults": [fault.to_plain() for fault in found.faults],
            "unchecked": found.unchecked,
        },
        text=[*text, *(row for words in found.unchecked for row in wrapped(line(words), "  "))],
        code=0 if found.matches else FOUND,
    )


def _fault_text(fault: Fault) -> list[str]:
    return wrapped(f"{line(fault.where)}: {line(fault.message)}", "    ", "  · ")


def _number(text: str) -> int:
    try:
        return number(text)
    except argparse.ArgumentTypeError as error:
        raise InvalidInput(f"{error}. With --all, name changesets by their numbers.") from None
