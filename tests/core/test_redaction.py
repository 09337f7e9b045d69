"""Redacted fields are one keyed leaf of their record's digest, and rows of a diff without values."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace

import pytest

from data_sync.core.records import FileValue, Record, RecordText
from data_sync.core.redaction import KEY_BYTES, Redaction, diff_rows, new_key

KEY = bytes(range(KEY_BYTES))
RECORD = Record(
    model="shop.customer",
    key=("ada",),
    fields={"account": "DE02", "city": "Ulm", "name": "ada", "notes": {"a": [1]}},
    files={"photo": FileValue(name="a.png", size=1, checksum="sha256:" + "0" * 64)},
)
REDACTION = Redaction(names={"shop.customer": ["account", "notes"]}, key=KEY)


def text(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def test_the_leaf_is_a_mac_of_the_redacted_fields_and_the_digest_covers_it() -> None:
    hidden = text(["shop.customer", ["ada"], {"account": "DE02", "notes": {"a": [1]}}])
    leaf = "hmac-sha256:" + hmac.new(KEY, hidden, "sha256").hexdigest()
    assert REDACTION.leaf(RECORD) == leaf
    files = {"photo": {"checksum": "sha256:" + "0" * 64, "size": 1}}
    covered = text(["shop.customer", ["ada"], {"city": "Ulm", "name": "ada"}, files, leaf])
    assert REDACTION.digest(RECORD) == "sha256:" + hashlib.sha256(covered).hexdigest()


def test_every_part_of_a_record_counts() -> None:
    others = [
        replace(RECORD, fields=RECORD.fields | {"account": "DE03"}),
        replace(RECORD, fields=RECORD.fields | {"notes": {"a": [1.0]}}),
        replace(RECORD, fields=RECORD.fields | {"city": "Bonn"}),
        replace(RECORD, key=("bob",)),
        replace(RECORD, model="shop.client"),
        replace(RECORD, files={"photo": None}),
    ]
    digests = [REDACTION.digest(record) for record in (RECORD, *others)]
    assert len(set(digests)) == len(digests)
    alike = replace(RECORD, files={"photo": replace(RECORD.files["photo"], name="b.png")}, carried={"at": 1})
    assert REDACTION.digest(alike) == digests[0]


def test_without_the_key_nothing_can_be_tried_and_with_another_all_differs() -> None:
    other = Redaction(names=REDACTION.names, key=new_key())
    assert REDACTION.digest(RECORD) != other.digest(RECORD) != RECORD.digest() != REDACTION.digest(RECORD)
    assert REDACTION.token("shop.customer", "ab" * 16) != other.token("shop.customer", "ab" * 16) != "ab" * 16
    assert len(other.token("shop.customer", "ab" * 16)) == 32


def test_models_without_redacted_fields_have_plain_digests() -> None:
    plain = replace(RECORD, model="shop.copy")
    assert REDACTION.digest(plain) == plain.digest() == Redaction().digest(plain)
    assert REDACTION.token("shop.copy", "ab") == "ab"


def test_a_record_that_was_not_parsed_has_the_same_digest() -> None:
    travelling = RecordText("{}", RECORD.canonical())
    assert REDACTION.digest_of("shop.customer", travelling) == REDACTION.digest(RECORD)
    assert Redaction().digest_of("shop.customer", travelling) == RECORD.digest()


@pytest.mark.parametrize("key", [b"", b"short"])
def test_leaves_that_anybody_can_make_are_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="key of 32 bytes"):
        Redaction(names={"shop.customer": ["account"]}, key=key)
    assert not Redaction(names={"shop.customer": []})


def test_the_key_is_in_no_traceback_or_log() -> None:
    assert KEY.hex() not in repr(REDACTION) and repr(KEY) not in repr(REDACTION)


def test_a_diff_says_that_redacted_fields_differ_and_not_how() -> None:
    before = {"account": "1", "city": "Ulm", "limit": 1, "notes": {"a": 1}}
    after = {"account": "2", "city": "Bonn", "limit": 1, "notes": {"a": 2}}
    assert diff_rows(before, after, ["account", "limit", "notes"]) == [
        {"path": ["account"], "kind": "changed", "redacted": True},
        {"path": ["city"], "kind": "changed", "before": "Ulm", "after": "Bonn"},
        {"path": ["notes"], "kind": "changed", "redacted": True},
    ]
    assert [row["kind"] for row in diff_rows({}, {"limit": None}, ["limit"])] == ["added"]
    assert [row["kind"] for row in diff_rows({"limit": 1}, {}, ["limit"])] == ["removed"]
    assert diff_rows({"limit": 1}, {"limit": True}, ["limit"])[0]["kind"] == "changed"
