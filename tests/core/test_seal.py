"""Seals: any other content, order or decision gives another one."""

from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from data_sync.core.seal import Decided, approval_seal, content_seal, event_hash

from .strategies import texts, values

CHANGES = [{"number": 1, "after": {"a": [1, None]}}, {"number": 2, "after": None}]
DECISIONS = [
    Decided(1, "accepted", acknowledged="sha256:ab"),
    Decided(2, "rejected", rename="replace"),
    Decided(12, "undecided", kept=["value"]),
]


def test_a_reader_can_recompute_them() -> None:
    """With no more than SHA-256 and JSON: sorted members, no spaces, text as it is."""

    def text(value: Any) -> str:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    digests = ["sha256:" + hashlib.sha256(text(change).encode()).hexdigest() for change in CHANGES]
    content = "data-sync content 2\n" + "".join(digest + "\n" for digest in digests)
    seal = "sha256:" + hashlib.sha256(content.encode()).hexdigest()
    assert content_seal(CHANGES) == seal
    decided = [
        [1, "accepted", [], "sha256:ab", None],
        [2, "rejected", [], "", "replace"],
        [12, "undecided", ["value"], "", None],
    ]
    approval = f"data-sync approval 2\n{seal}\n" + "".join(text(line) + "\n" for line in decided)
    assert approval_seal(seal, DECISIONS) == "sha256:" + hashlib.sha256(approval.encode()).hexdigest()
    event = {"action": "pulled"}
    assert event_hash(seal, event) == "sha256:" + hashlib.sha256(text([seal, event]).encode()).hexdigest()


documents = st.lists(st.dictionaries(texts, values, max_size=3), max_size=4)


@given(documents, documents)
def test_two_contents_have_one_seal_only_if_they_are_one(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (content_seal(one) == content_seal(other)) == same


def test_order_and_every_value_count() -> None:
    seals = {content_seal(CHANGES), content_seal(CHANGES[::-1]), content_seal(CHANGES[:1]), content_seal([])}
    altered = deepcopy(CHANGES)
    altered[0]["after"] = {"a": [True, None]}
    assert len(seals | {content_seal(altered)}) == 5


def test_everything_that_was_decided_counts() -> None:
    seals = {approval_seal("x", DECISIONS), approval_seal("y", DECISIONS), approval_seal("x", DECISIONS[:2])}
    for at, decided in enumerate(DECISIONS):
        for altered in (
            {"number": 13},
            {"decision": "another"},
            {"kept": ["other"]},
            {"acknowledged": "another"},
            {"rename": "rename"},
        ):
            other = list(DECISIONS)
            other[at] = decided._replace(**altered)
            seals.add(approval_seal("x", other))
    assert len(seals) == 3 + 3 * 5
