"""What an exported file says of itself: it matches as it was exported, and no byte of it can be another."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_sync.core import canonical, export_form
from data_sync.core.errors import InvalidInput
from data_sync.core.export_form import check_version, lines_of, proof_text
from data_sync.core.macs import Keyring, MacKey
from data_sync.core.seal import content_seal_of_digests, event_hash, proof_digest
from data_sync.core.verification import Verdict, verify_document

EXPORTED = (Path(__file__).parent / "exported.json").read_bytes()
"""An export of version 1.0, of an applied changeset. As long as there is version 1, it verifies."""
KEYS = Keyring((MacKey(b"only a test has this key, of 32 bytes and more"),))
OTHER = Keyring((MacKey(b"k" * 32),))
Document = dict[str, Any]


def verdict(content: bytes, keyring: Keyring = KEYS) -> Verdict:
    file = io.BytesIO(content)
    check_version(file)
    return verify_document(lines_of(file), keyring)


def where(found: Verdict) -> list[str]:
    return [fault.where for fault in found.faults]


def written(document: Document, *, forged: bool = True) -> bytes:
    """The document as an export has it. `forged`: with the digest that its bytes have now, under no key."""
    lines = ['{"changes":[\n', _items(document["changes"])]
    lines += [f'],"changeset":{canonical.dumps(document["changeset"])},"events":[\n', _items(document["events"])]
    lines.append(f'],"format":{canonical.dumps(document["format"])},"format_version":"{document["format_version"]}"')
    text = "".join(lines)
    proof = document["proof"]
    if forged:
        proof = {"digest": proof_digest(canonical.digest(text), None, None), "key": None, "mac": None}
    return (text + proof_text(proof["digest"], proof["key"], proof["mac"])).encode()


def _items(items: list[Any]) -> str:
    return ",\n".join(map(canonical.dumps, items)) + ("\n" if items else "")


def document() -> Document:
    return json.loads(EXPORTED)


def test_what_was_exported_matches_and_says_what_is_proven() -> None:
    found = verdict(EXPORTED)
    assert (where(found), found.unchecked) == ([], [])
    assert (found.changes, found.events, found.keyed, found.state) == (5, 6, 6, "applied")
    assert found.key == KEYS.keys[0].id
    assert written(document(), forged=False) == EXPORTED


@pytest.mark.parametrize("keyring", [Keyring(), OTHER], ids=["without keys", "with another key"])
def test_without_its_key_it_matches_and_nothing_is_said_to_be_proven(keyring: Keyring) -> None:
    found = verdict(EXPORTED, keyring)
    assert (where(found), found.key, found.keyed) == ([], None, 0)
    assert all(f"key {KEYS.keys[0].id} is not in DATA_SYNC_AUDIT_KEYS" in words for words in found.unchecked)
    assert len(found.unchecked) == 2


def test_a_key_that_has_been_replaced_still_verifies() -> None:
    assert verdict(EXPORTED, Keyring((*OTHER.keys, *KEYS.keys))).key == KEYS.keys[0].id


def test_one_byte_changed_anywhere_is_found() -> None:
    """By anybody, without a key."""
    for at in range(len(EXPORTED)):
        altered = bytearray(EXPORTED)
        altered[at] ^= 1
        try:
            found = verdict(bytes(altered), Keyring())
        except InvalidInput:
            continue  # Of the version or the format: it is no such file any more.
        assert found.faults, at


@pytest.mark.parametrize("keep", [0, 1, 12, 2000, len(EXPORTED) - 1, len(EXPORTED) - 200])
def test_a_file_that_was_cut_is_found(keep: int) -> None:
    try:
        assert not verdict(EXPORTED[:keep]).matches
    except InvalidInput:
        assert keep == 0


def _chain_anew(document: Document) -> None:
    """As somebody does who knows how hashes are made."""
    previous = ""
    for number, event in enumerate(document["events"], start=1):
        content = {name: event[name] for name in ("at", "actor", "action", "detail")} | {"number": number}
        event.update(number=number, previous=previous, hash=event_hash(previous, content))
        previous = event["hash"]
    document["changeset"]["chain"] = {"head": previous, "length": len(document["events"])}


def _edit_value(document: Document) -> None:
    document["changes"][1]["after"]["value"] = "Another"


def _edit_before(document: Document) -> None:
    document["changes"][4]["before"]["value"] = "Another"


def _edit_diff(document: Document) -> None:
    document["changes"][1]["diff"] = []


def _edit_file(document: Document) -> None:
    document["changes"][1]["files"]["thumbnail"]["after"]["size"] = 6


def _delete_change(document: Document) -> None:
    del document["changes"][2]


def _insert_change(document: Document) -> None:
    document["changes"].insert(2, dict(document["changes"][2]))


def _reorder_changes(document: Document) -> None:
    document["changes"][1:3] = reversed(document["changes"][1:3])


def _cut_changes(document: Document) -> None:
    del document["changes"][-1]


def _edit_decision(document: Document) -> None:
    document["changes"][0]["decision"] = "rejected"


def _edit_outcome(document: Document) -> None:
    document["changes"][0]["outcome"] = "skipped"


def _edit_event(document: Document) -> None:
    document["events"][1]["actor"] = "somebody else"


def _delete_event(document: Document) -> None:
    del document["events"][2]


def _insert_event(document: Document) -> None:
    document["events"].insert(2, dict(document["events"][2]))


def _reorder_events(document: Document) -> None:
    document["events"][1:3] = reversed(document["events"][1:3])


def _cut_events(document: Document) -> None:
    del document["events"][-1]


def _cut_events_and_say_so(document: Document) -> None:
    del document["events"][-2:]
    _chain_anew(document)


def _edit_state(document: Document) -> None:
    document["changeset"]["state"] = "rejected"


def _edit_counts(document: Document) -> None:
    document["changeset"]["counts"]["create"] = 7


def _blank_values(document: Document) -> None:
    document["changes"][1] |= {"purged": True, "before": None, "after": None}


def _lack_a_member(document: Document) -> None:
    del document["changes"][1]["carried"]


def _another_kind(document: Document) -> None:
    document["events"][1]["detail"] = ["another"]


def _new_digest(change: Document) -> None:
    from data_sync.core.export_members import content_of
    from data_sync.core.verification import record_digest

    change["after_digest"] = record_digest(change, "after")
    change["content_digest"] = canonical.digest(canonical.dumps(content_of(change)))


def _value_with_digests(document: Document) -> None:
    _edit_value(document)
    _new_digest(document["changes"][1])


def _value_with_digests_and_seal(document: Document) -> None:
    _value_with_digests(document)
    document["changeset"]["seal"] = content_seal_of_digests(one["content_digest"] for one in document["changes"])


@pytest.mark.parametrize(
    ("alter", "found"),
    [
        (_edit_value, "change 2: after_digest"),
        (_edit_before, "change 5: before_digest"),
        (_edit_diff, "change 2: content_digest"),
        (_edit_file, "change 2: after_digest"),
        (_delete_change, "change 3: number"),
        (_insert_change, "change 4: number"),
        (_reorder_changes, "change 2: number"),
        (_cut_changes, "changeset: seal"),
        (_edit_decision, "changeset: approval_seal"),
        (_edit_outcome, "changeset: outcome"),
        (_edit_event, "event 2: hash"),
        (_delete_event, "event 3: number"),
        (_insert_event, "event 4: number"),
        (_reorder_events, "event 2: number"),
        (_cut_events, "changeset: chain"),
        (_cut_events_and_say_so, "changeset: state"),
        (_edit_state, "changeset: state"),
        (_edit_counts, "changeset: counts"),
        (_blank_values, "changeset: purged_at"),
        (_lack_a_member, "change 2"),
        (_another_kind, "event 2"),
        (_value_with_digests, "changeset: seal"),
        (_value_with_digests_and_seal, "event 1: content_seal"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_was_altered_is_named_also_where_the_digest_was_made_anew(
    alter: Callable[[Document], None], found: str
) -> None:
    altered = document()
    alter(altered)
    assert found in where(verdict(written(altered), Keyring()))


def test_only_a_code_under_a_key_tells_a_file_whose_every_digest_was_made_anew() -> None:
    altered = document()
    altered["events"][1]["actor"] = "somebody else"
    _chain_anew(altered)
    found = verdict(written(altered), Keyring())
    assert found.matches
    assert "Who made the file cannot be told" in " ".join(found.unchecked)
    assert "event 2: mac" in where(verdict(written(altered)))
    # Nor can the codes be left out from where he began.
    altered["events"][1] |= {"mac": None, "mac_key": None}
    assert "event 2: mac" in where(verdict(written(altered)))


def test_what_a_later_minor_version_adds_is_let_pass() -> None:
    later = document()
    later["format_version"] = "1.7"
    later["changes"][0]["zeal"] = {"new": [1]}
    later["changeset"]["zeal"] = True
    assert where(verdict(written(later))) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (EXPORTED.replace(b'"format_version":"1.0"', b'"format_version":"2.0"'), "only 1.x is known"),
        (EXPORTED.replace(b'"format":"data-sync-changeset"', b'"format":"data-sync-bundle"'), "no exported changeset"),
        (b"", "no exported changeset"),
        (b"\x89PNG\r\n\x1a\n" * 9, "no exported changeset"),
    ],
    ids=["a later version", "another format", "nothing", "a picture"],
)
def test_what_is_no_export_of_this_version_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        verdict(content)


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 5000 + b"]" * 5000,
        b'{"a":1,"a":1}',
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'{"b":1, "a":1}',
        b'{"n":' + b"9" * 9000 + b"}",
        b"[]",
        b"null",
        b"",
        b"]",
        b'],"x":',
        b'],"changes":[',
        b'],"proof":{}}',
        b'],"changeset":{"number":1},"events":[',
    ],
)
def test_hostile_lines_get_an_answer(line: bytes) -> None:
    for content in (b'{"changes":[\n' + line + b"\n", EXPORTED.replace(b"\n", b"\n" + line + b"\n", 1), line + b"\n"):
        try:
            assert not verdict(content).matches
        except InvalidInput:
            pass


def test_a_line_without_end_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_form, "MAX_LINE", 1000)
    [fault] = verdict(b'{"changes":[\n' + b" " * 5000).faults
    assert "longer than 1,000 bytes" in fault.message
    monkeypatch.undo()
    monkeypatch.setattr(export_form, "MAX_VALUES", 100)
    [fault] = verdict(b'{"changes":[\n[' + b"1," * 500 + b"1]\n").faults
    assert "more than 100 values" in fault.message


def test_keys_are_of_enough_bytes_and_are_not_shown() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        MacKey(b"short")
    assert "only a test" not in repr(KEYS)
