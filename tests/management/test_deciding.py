"""`accept`, `reject`, `approve`, `override`: what is said is what is done, and no more."""

from __future__ import annotations

import pytest

from data_sync.core.errors import InvalidTransition
from data_sync.models import Changeset
from data_sync.services import review
from data_sync.services.guards import Limit, Limits, Rows, guards_of, reason_of
from tests.admin import making

from .conftest import Run

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.usefixtures("rows_that_fit")]
PROBLEM = [{"code": "x", "field": "meaning", "message": "meaning has 300 characters; the column here takes 200."}]
OTHER = "testapp.tag"


def named(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


@pytest.fixture
def changeset() -> Changeset:
    """1 and 2 are updates, 3 of another model; 4 a create that cannot be applied; 5 and 6 deletes."""
    return making.changeset(
        [
            making.update(1),
            making.update(2),
            making.update(3, model=OTHER),
            making.create(4, problems=PROBLEM),
            making.delete(5),
            making.delete(6, model=OTHER),
        ]
    )


def decided(changeset: Changeset, decision: str) -> list[int]:
    return list(changeset.changes.filter(decision=decision).order_by("number").values_list("number", flat=True))


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["--all"], [1, 2, 3, 5, 6]),
        (["--all", "--operation", "update"], [1, 2, 3]),
        (["--all", "--operation", "delete"], [5, 6]),
        (["--all", "--model", OTHER], [3, 6]),
        (["--all", "--model", "testapp.Tag", "--operation", "delete"], [6]),
        (["--change", "2"], [2]),
        (["--change", "2", "6", "--change", "1"], [1, 2, 6]),
        (["--change", "2", "2"], [2]),
    ],
    ids=named,
)
def test_accepted_is_what_was_said_deletes_too(
    run: Run, changeset: Changeset, words: list[str], numbers: list[int]
) -> None:
    ran = run("accept", changeset.pk, *words, "--json")
    assert ran.code == 0
    assert decided(changeset, "accepted") == numbers
    assert ran.document["decided"] == len(numbers)
    assert ran.document["decisions"] == {"accepted": len(numbers), "rejected": 0, "undecided": 6 - len(numbers)}


def test_all_leaves_out_what_has_problems_and_counts_it(run: Run, changeset: Changeset) -> None:
    ran = run("accept", changeset.pk, "--all", "--json")
    assert (ran.code, ran.document["left_out"]) == (0, 1)
    assert decided(changeset, "undecided") == [4]
    assert "1 change left out because of problems" in run("accept", changeset.pk, "--all").out


@pytest.mark.parametrize(("verb", "left"), [("accept", "rejected"), ("reject", "accepted")])
def test_all_leaves_what_was_decided_and_counts_it(run: Run, changeset: Changeset, verb: str, left: str) -> None:
    run("reject" if verb == "accept" else "accept", changeset.pk, "--change", 2, 5)
    ran = run(verb, changeset.pk, "--all", "--json")
    assert (ran.code, ran.document["left_as_decided"]) == (0, 2)
    assert decided(changeset, left) == [2, 5]
    assert "left as decided before; to decide anew, name them" in run(verb, changeset.pk, "--all").out


def test_a_named_change_with_a_problem_is_refused_and_so_are_those_named_with_it(
    run: Run, changeset: Changeset
) -> None:
    ran = run("accept", changeset.pk, "--change", 1, 4)
    assert ran.code == 1 and "#4: meaning has 300 characters" in ran.err
    assert decided(changeset, "accepted") == []
    assert run("reject", changeset.pk, "--change", 1, 4).code == 0


@pytest.mark.parametrize(
    ("words", "numbers"),
    [(["--all"], [1, 2, 3, 4, 5, 6]), (["--all", "--operation", "delete"], [5, 6]), (["--change", "4"], [4])],
    ids=named,
)
def test_rejected_is_what_was_said(run: Run, changeset: Changeset, words: list[str], numbers: list[int]) -> None:
    assert run("reject", changeset.pk, *words).code == 0
    assert decided(changeset, "rejected") == numbers


@pytest.mark.parametrize("verb", ["accept", "reject", "show"])
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--change", "1", "7", "99"], "has no change #7, #99."),
        (["--change", "1", "--operation", "delete"], "has no change #1 of that model or operation."),
        (["--change", "999999999999999999"], "has no change"),
        (["--all", "--model", "testapp.nothing"], "is not about testapp.nothing, but about: testapp.t"),
    ],
    ids=named,
)
def test_what_the_changeset_does_not_have_is_refused_whole(
    run: Run, changeset: Changeset, verb: str, words: list[str], reason: str
) -> None:
    given = [word for word in words if verb != "show" or word != "--all"]
    ran = run(verb, changeset.pk, *given)
    assert (ran.code, ran.out) == (1, "") and reason in ran.err
    assert len(decided(changeset, "undecided")) == 6


def test_a_decision_voids_the_approval_and_a_closed_changeset_takes_none(run: Run, changeset: Changeset) -> None:
    run("accept", changeset.pk, "--all")
    assert run("approve", changeset.pk).code == 0
    assert run("reject", changeset.pk, "--change", 1, "--json").document["state"] == "pending"
    Changeset.objects.update(state="applied")
    ran = run("accept", changeset.pk, "--all")
    assert ran.code == 1 and "applied" in ran.err
    assert decided(changeset, "rejected") == [1]


def test_all_is_one_transaction(run: Run, changeset: Changeset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deletes are a decision of their own, of which the first must not be left over alone."""
    real = review.decide

    def fail_at_deletes(changeset_id: int, selection: review.Selection, *args: object, **named: object) -> object:
        if selection.operation == "delete":
            raise InvalidTransition("somebody was quicker")
        return real(changeset_id, selection, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(review, "decide", fail_at_deletes)
    assert run("accept", changeset.pk, "--all").code == 1
    assert decided(changeset, "accepted") == []


# Approving


def test_approving_says_what_was_approved(run: Run, changeset: Changeset) -> None:
    run("accept", changeset.pk, "--change", 1, 5)
    ran = run("approve", changeset.pk, "--json")
    assert ran.document == {"changeset": changeset.pk, "state": "approved", "revision": 1, "accepted": 2}


def test_nothing_accepted_is_nothing_to_approve(run: Run, changeset: Changeset) -> None:
    ran = run("approve", changeset.pk, "--json")
    assert ran.code == 1 and "is accepted" in ran.document["error"]


def test_what_is_required_has_to_be_accepted_too(run: Run) -> None:
    changeset = making.changeset([making.create(1), making.create(2, requires=[1])])
    run("accept", changeset.pk, "--change", 2)
    refused = run("approve", changeset.pk)
    assert refused.code == 1 and "#2" in refused.err and "#1" in refused.err
    shown = run("show", changeset.pk)
    assert "#2 is accepted and requires #1, not accepted." in shown.out
    assert run("show", changeset.pk, "--json").document["unmet"] == [{"change": 2, "requires": [1]}]
    run("accept", changeset.pk, "--change", 1)
    assert run("approve", changeset.pk).code == 0


def test_the_command_line_cannot_approve_where_four_eyes_are_required(
    run: Run, changeset: Changeset, settings: pytest.FixtureRequest
) -> None:
    settings.DATA_SYNC_FOUR_EYES = True  # type: ignore[attr-defined]
    making.user("tomas", "approve_changeset")
    run("accept", changeset.pk, "--change", 1)
    refused = run("approve", changeset.pk)
    assert refused.code == 1 and "our eyes" in refused.err
    assert run("approve", changeset.pk, "--as", "tomas").code == 0


# Overriding


def test_a_guard_is_overridden_with_a_reason_that_is_kept(run: Run) -> None:
    guards = guards_of(
        [Rows(label="testapp.term", here=800, there=388, deletes=412)], Limits(default=Limit(rows=1000, percent=50))
    )
    words = "412 of 800 rows of testapp.term (51 %) would be deleted; the limit is 50 %."
    reason = reason_of(guards)
    changeset = making.changeset([making.delete(1)], state="blocked", guards=guards, state_reason=reason)
    for ran in (run("show", changeset.pk), run("list")):
        assert words in joined(ran.out) and f"data_sync override {changeset.pk} --reason TEXT" in joined(ran.out)
    assert run("list", "--json").document["changesets"][0]["guards"] == [
        {"code": "too_many_deletes_percent", "model": "testapp.term"}
    ]
    document = run("show", changeset.pk, "--json").document
    assert (document["guards"], document["override"]) == (guards, None)
    refused = run("override", changeset.pk, "--reason", "  ")
    assert refused.code == 1 and "Say why" in refused.err
    making.user("ada", "approve_changeset", "view_changeset")
    refused = run("override", changeset.pk, "--reason", "I want to.", "--as", "ada")
    assert refused.code == 1 and "override_changeset_guard" in refused.err
    ran = run("override", changeset.pk, "--reason", "We start anew.", "--json")
    event = changeset.events.get()
    override = {"actor": "command line", "at": event.at.isoformat(), "reason": "We start anew."}
    assert ran.document == {"changeset": changeset.pk, "state": "pending", "guards": guards, "override": override}
    again = run("override", changeset.pk, "--reason", "Again.")
    assert again.code == 1 and "pending" in again.err
    # It stays with the changeset.
    assert run("show", changeset.pk, "--json").document["override"] == override
    shown = joined(run("show", changeset.pk).out)
    assert "Guards overridden by command line" in shown and "We start anew." in shown and words in shown


def joined(text: str) -> str:
    """Without the line breaks of a narrow terminal."""
    return " ".join(text.split())


# Conflicts, renames, and what belongs together

CONFLICT = {"kind": "changed", "by": "tomas", "at": "2026-05-12T10:03:00+00:00"}


def test_a_conflict_is_accepted_by_name_and_by_who_has_seen_it(run: Run) -> None:
    changeset = making.changeset([making.conflict(1), making.update(2)])
    refused = run("accept", changeset.pk, "--change", 1, 2)
    assert refused.code == 1 and "#1" in refused.err and "--acknowledge" in refused.err
    assert decided(changeset, "accepted") == []
    assert run("accept", changeset.pk, "--change", 1, "--acknowledge").code == 0
    row = changeset.changes.get(number=1)
    assert (row.decision, row.acknowledged_digest) == ("accepted", row.before_digest)
    assert "(acknowledged)" in run("show", changeset.pk).out


def test_all_leaves_conflicts_out_and_counts_them_unless_they_are_acknowledged(run: Run) -> None:
    changeset = making.changeset([making.conflict(1), making.update(2), making.delete(3, conflict=CONFLICT)])
    ran = run("accept", changeset.pk, "--all", "--json")
    assert (ran.code, ran.document["decided"], ran.document["conflicts_left_out"]) == (0, 1, 2)
    assert "2 conflicts left out" in run("accept", changeset.pk, "--all").out
    assert run("accept", changeset.pk, "--all", "--acknowledge", "--json").document["decided"] == 2
    assert decided(changeset, "accepted") == [1, 2, 3]


def test_what_needs_a_rejected_change_is_refused_naming_both_unless_both_are_meant(run: Run) -> None:
    changeset = making.changeset([making.create(1, decision="rejected"), making.create(2, requires=[1])])
    refused = run("accept", changeset.pk, "--change", 2)
    assert refused.code == 1 and "word-1" in refused.err and "word-2" in refused.err
    assert "--with-requirements" in refused.err and decided(changeset, "accepted") == []
    ran = run("accept", changeset.pk, "--change", 2, "--with-requirements", "--json")
    assert (ran.code, ran.document["decided"], ran.document["also_decided"]) == (0, 2, [1])
    assert decided(changeset, "accepted") == [1, 2]


def test_what_is_needed_is_not_rejected_unless_what_needs_it_goes_too(run: Run) -> None:
    changeset = making.changeset([making.create(1), making.create(2, requires=[1], decision="accepted")])
    refused = run("reject", changeset.pk, "--change", 1)
    assert refused.code == 1 and "word-2" in refused.err and "--with-dependents" in refused.err
    ran = run("reject", changeset.pk, "--change", 1, "--with-dependents")
    assert "With them, because they belong together: #2" in ran.out
    assert decided(changeset, "rejected") == [1, 2]


def test_all_leaves_out_what_needs_a_rejected_change(run: Run) -> None:
    changeset = making.changeset(
        [making.create(1, decision="rejected"), making.create(2, requires=[1]), making.create(3)]
    )
    ran = run("accept", changeset.pk, "--all", "--json")
    assert (ran.document["decided"], ran.document["requirements_left_out"]) == (1, 1)
    assert "1 change left out, because of others" in run("accept", changeset.pk, "--all").out
    assert decided(changeset, "accepted") == [3]


@pytest.mark.parametrize(("words", "choice"), [([], "rename"), (["--replace"], "replace")], ids=named)
def test_a_rename_is_written_as_it_was_said(run: Run, words: list[str], choice: str) -> None:
    changeset = making.changeset([making.rename(1, rename_choice="replace"), making.update(2)])
    assert run("accept", changeset.pk, "--change", 1, 2, *words).code == 0
    assert changeset.changes.get(number=1).rename_choice == choice
    assert decided(changeset, "accepted") == [1, 2]


def test_all_takes_renames_in_and_keeps_their_rows(run: Run) -> None:
    changeset = making.changeset([making.rename(1, rename_choice="replace"), making.update(2), making.delete(3)])
    assert run("accept", changeset.pk, "--all", "--json").document["decided"] == 3
    assert changeset.changes.get(number=1).rename_choice == "rename"


def test_fields_are_kept_and_taken_again(run: Run) -> None:
    sides = {"before": {"slug": "x", "title": "ours", "deleted": True}}
    after = {"slug": "x", "title": "theirs", "deleted": False}
    changeset = making.changeset([making.change(1, model="testapp.article", after=after, **sides), making.update(2)])

    ran = run("accept", changeset.pk, "--change", 1, "--keep", "title")
    assert ran.code == 0 and decided(changeset, "accepted") == [1]
    assert "kept as it is here: title" in run("show", changeset.pk, "--change", 1).out
    assert run("show", changeset.pk, "--change", 1, "--json").document["changes"][0]["kept_fields"] == ["title"]

    assert "would keep everything" in run("accept", changeset.pk, "--change", 1, "--keep", "title", "deleted").err
    assert "name it with --change N" in run("accept", changeset.pk, "--change", 1, 2, "--keep", "title").err
    assert "name it with --change N" in run("accept", changeset.pk, "--all", "--keep", "title").err
    assert run("accept", changeset.pk, "--change", 1, "--keep").code == 0
    assert changeset.changes.get(number=1).kept == {}
