"""Each rule that keeps a changeset from being applied without review, by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from data_sync.core.states import Operation
from data_sync.services import auto_rules
from data_sync.services.auto_rules import Facts, TrustLimits, reasons

pytestmark = pytest.mark.no_database

LIMITS = TrustLimits(
    models=("shop.price", "shop.copy"),
    operations=(Operation.CREATE, Operation.UPDATE, Operation.DELETE),
    max_changes=10,
    max_deletes=2,
    unattended=True,
)
FITS = Facts(
    models=("shop.price",),
    counts={Operation.CREATE: 3, Operation.UPDATE: 5, Operation.DELETE: 2, Operation.RENAME: 0},
)
"""All that is allowed, to the last one."""

CASES: list[tuple[str, dict[str, Any], str]] = [
    ("switched_off", {"is_allowed": False}, "DATA_SYNC_AUTO_APPLY is off"),
    ("authority", {"lacks": "anna is not active any more."}, "anna is not active any more."),
    ("four_eyes", {"needs_others": True}, "Four eyes are required"),
    ("guard", {"guards": ("The source has no rows of shop.copy.",)}, "The source has no rows of shop.copy."),
    ("schema_difference", {"omitted": ("shop.price",)}, "do not agree on fields of shop.price"),
    ("model", {"models": ("shop.price", "shop.user")}, "not trusted with shop.user."),
    ("operation", {"counts": {Operation.RENAME: 1}}, "not trusted with this operation: 1 rename."),
    ("too_many_changes", {"counts": {Operation.UPDATE: 11}}, "11 changes, and 10 is the most."),
    ("too_many_deletes", {"counts": {Operation.DELETE: 3}}, "3 deletes, and 2 is the most."),
    ("too_many_deletes", {"severed": 1}, "2 deletes and 1 link or reference taken away, and 2 is the most."),
    ("first_pull", {"unagreed": ("shop.price",)}, "Nothing was agreed on with this source before about shop.price,"),
    ("conflict", {"conflicts": 2}, "2 conflicts: rows that were changed here, too."),
    ("unknown_base", {"unknown_base": 1}, "1 change of unknown base"),
    ("cascade", {"cascades": 1}, "1 change would take other rows along."),
    ("missing_reference", {"missing_references": 4}, "4 changes with a missing reference."),
    ("problem", {"other_problems": 1}, "1 change with a problem"),
    ("warning", {"warnings": 1}, "1 change with a warning"),
    ("rejected_before", {"rejected_before": 1}, "1 change of rows of which somebody has rejected a change"),
    ("kept_before", {"kept_before": 2}, "2 changes of rows of which somebody has kept fields"),
    ("somebody_at_it", {"others_at_it": (41, 42)}, "decided or commented in changeset 41, 42."),
]


def test_what_fits_may_go() -> None:
    assert reasons(LIMITS, FITS) == []


@pytest.mark.parametrize(("code", "facts", "sentence"), CASES, ids=[" ".join([case[0], *case[1]]) for case in CASES])
def test_each_rule_alone_leaves_it_for_review_and_says_why(code: str, facts: dict[str, Any], sentence: str) -> None:
    [reason] = reasons(LIMITS, replace(FITS, **facts))
    assert reason["code"] == code
    assert sentence in reason["message"]


def test_the_table_above_has_every_rule() -> None:
    """So that a rule which is switched off, or added, makes a test fail."""
    assert {code for code, _, _ in CASES} == {"switched_off", *auto_rules.RULES}


def test_everything_that_is_in_the_way_is_said() -> None:
    facts = replace(FITS, conflicts=1, cascades=1, guards=("First.", "Second."))
    assert [reason["code"] for reason in reasons(LIMITS, facts)] == ["guard", "guard", "conflict", "cascade"]


def test_a_source_that_is_not_trusted_has_that_for_a_reason_and_the_switch() -> None:
    assert [reason["code"] for reason in reasons(None, FITS)] == ["not_trusted"]
    off = replace(FITS, is_allowed=False, conflicts=3)
    assert [reason["code"] for reason in reasons(None, off)] == ["switched_off", "not_trusted"]


@pytest.mark.parametrize("operation", Operation)
def test_no_operation_goes_unless_it_is_named(operation: Operation) -> None:
    counts = {operation: 1}
    others = tuple(one for one in Operation if one is not operation)
    assert reasons(replace(LIMITS, operations=(operation,)), replace(FITS, counts=counts)) == []
    [reason] = reasons(replace(LIMITS, operations=others), replace(FITS, counts=counts))
    assert reason["code"] == "operation"


def test_deletes_count_as_changes_too() -> None:
    facts = replace(FITS, counts={Operation.UPDATE: 9, Operation.DELETE: 2})
    assert [reason["code"] for reason in reasons(LIMITS, facts)] == ["too_many_changes"]


def test_what_updates_take_away_takes_the_right_to_delete() -> None:
    limits = replace(LIMITS, operations=(Operation.UPDATE,), max_deletes=0)
    facts = replace(FITS, counts={Operation.UPDATE: 2})
    assert reasons(limits, facts) == []
    [reason] = reasons(limits, replace(facts, severed=3))
    assert reason["code"] == "operation"
    assert "Updates take away 3 links or references" in reason["message"]


def test_what_updates_take_away_counts_as_deletes() -> None:
    facts = replace(FITS, counts={Operation.UPDATE: 2}, severed=2)
    assert reasons(LIMITS, facts) == []
    assert [reason["code"] for reason in reasons(LIMITS, replace(facts, severed=3))] == ["too_many_deletes"]
