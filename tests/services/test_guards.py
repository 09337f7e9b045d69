"""Too much that would be deleted waits for a person, who says why; until then nothing of it can be written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from data_sync.core.errors import InvalidInput, InvalidTransition, NotPermitted, RevisionConflict
from data_sync.core.states import ChangesetState, PullState, RenameChoice
from data_sync.models import Changeset, DeleteLimit, Event
from data_sync.orm.read import LocalSource
from data_sync.services import actors, apply, approval, limits, pull, sources
from data_sync.services.document import changeset_document
from data_sync.services.guards import Limit, Limits, Rows, guards_of, reason_of
from tests import reviewing
from tests.admin import making
from tests.direct import Direct
from tests.environments import Environments
from tests.registering import registered
from tests.testapp.models import Category, Comment, Country, Detail, Language, Product, Stock, Tag, Term, Visit

TAG = "testapp.tag"
PLAIN = Limits(default=Limit(rows=1000, percent=50))

# The rules


def codes(rows: Rows, its: Limits = PLAIN) -> list[str]:
    return [guard["code"] for guard in guards_of([rows], its)]


@pytest.mark.parametrize(
    ("here", "there", "deletes", "expected"),
    [
        (100, 51, 49, []),
        (100, 50, 50, []),
        (100, 49, 51, ["too_many_deletes_percent"]),
        (3, 2, 1, []),
        (3, 1, 2, ["too_many_deletes_percent"]),
        # No float would tell these two apart.
        (2 * 10**17, 10**17, 10**17, ["too_many_deletes"]),
        (2 * 10**17, 10**17, 10**17 + 1, ["too_many_deletes_percent", "too_many_deletes"]),
        (5000, 4000, 1000, []),
        (5000, 3999, 1001, ["too_many_deletes"]),
        (1500, 300, 1200, ["too_many_deletes_percent", "too_many_deletes"]),
        (1, 0, 1, ["empty_side"]),
        (5000, 0, 5000, ["empty_side", "too_many_deletes"]),
        (5000, 0, 0, []),
        (0, 0, 0, []),
        (0, 5000, 0, []),
    ],
)
def test_limits_are_compared_exactly(here: int, there: int, deletes: int, expected: list[str]) -> None:
    assert codes(Rows(label=TAG, here=here, there=there, deletes=deletes)) == expected


@pytest.mark.parametrize(
    ("limit", "deletes", "expected"),
    [
        (Limit(rows=0, percent=100), 1, ["too_many_deletes"]),
        (Limit(rows=9, percent=0), 1, ["too_many_deletes_percent"]),
        (Limit(rows=0, percent=0), 0, []),
        (Limit(rows=9, percent=100), 9, []),
    ],
)
def test_no_row_at_all_and_every_row_are_limits_too(limit: Limit, deletes: int, expected: list[str]) -> None:
    assert codes(Rows(label=TAG, here=10, there=10, deletes=deletes), Limits(default=limit)) == expected


def test_a_model_has_limits_of_its_own() -> None:
    its = Limits(default=Limit(rows=5, percent=50), models={TAG: Limit(rows=1, percent=100)})
    rows = [Rows(label=label, here=2, there=1, deletes=2) for label in (TAG, "testapp.term")]
    assert [(guard["code"], guard["model"]) for guard in guards_of(rows, its)] == [
        ("too_many_deletes", TAG),
        ("too_many_deletes_percent", "testapp.term"),
    ]


@pytest.mark.parametrize(
    ("here", "deletes", "words"),
    [(800, 412, "412 of 800 rows of testapp.tag (51 %)"), (1000, 501, "501 of 1000 rows of testapp.tag (over 50 %)")],
)
def test_a_guard_says_its_figures_and_what_to_do(here: int, deletes: int, words: str) -> None:
    (guard,) = guards_of([Rows(label=TAG, here=here, there=1, deletes=deletes)], PLAIN)
    assert guard["message"] == f"{words} would be deleted; the limit is 50 %."
    assert reason_of([guard]).startswith(guard["message"])
    assert "override the guards and say why" in reason_of([guard]) and "pull again" in reason_of([guard])
    assert (guard["model"], guard["limit"]) == (TAG, 50)
    assert guard["counts"] == {"here": here, "there": 1, "deletes": deletes, "along": 0}


numbers = st.integers(0, 3000)


@given(numbers, numbers, numbers, numbers, numbers, numbers, numbers, st.integers(0, 2000), st.integers(0, 100))
def test_the_guard_is_monotone(
    stay: int, deletes: int, more: int, there: int, fewer: int, along: int, more_along: int, most: int, percent: int
) -> None:
    """More deletes, more rows along or fewer rows at the source never let through what was held back."""
    its = Limits(default=Limit(rows=most, percent=percent))
    rows = Rows(label=TAG, here=stay + deletes + more, there=there, deletes=deletes, along=along)
    worse = replace(rows, deletes=deletes + more, there=max(0, there - fewer), along=along + more_along)
    if guards_of([rows], its):
        assert guards_of([worse], its)
    # Nor do other models.
    assert len(guards_of([rows, replace(worse, label="testapp.term")], its)) >= len(guards_of([rows], its))


# What a real source answers


@pytest.fixture
def guarded(environments: Environments) -> Environments:
    """With the limits that everybody has who has set none."""
    limits.change_limits(environments.source, environments.actor, {limits.ALL: {"percent": None}})
    return environments


def fill(environments: Environments, here: int, there: int) -> None:
    """So many tags on either side, the same ones."""
    for number in range(max(here, there)):
        only = "" if number < min(here, there) else "default" if here > there else "source"
        environments.add(Tag, name=f"tag-{number:03}", only=only)


def stored(environments: Environments, *labels: str) -> Changeset:
    with environments.untouched():
        return environments.changeset(*labels)


def held(changeset: Changeset) -> list[tuple[str, str]]:
    return [(guard["code"], guard["model"]) for guard in changeset.guards]


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (51, []),
        (50, []),
        (49, [("too_many_deletes_percent", TAG)]),
        (1, [("too_many_deletes_percent", TAG)]),
        (0, [("empty_side", TAG)]),
    ],
)
def test_an_export_of_so_many_of_a_hundred_rows(
    guarded: Environments, there: int, expected: list[tuple[str, str]]
) -> None:
    fill(guarded, 100, there)
    changeset = stored(guarded)
    assert held(changeset) == expected
    assert changeset.state == ("blocked" if expected else "pending")
    for guard in changeset.guards:
        assert guard["counts"] == {"here": 100, "there": there, "deletes": 100 - there, "along": 0}
        assert guard["message"] in changeset.state_reason
    assert changeset.events.get(action="pulled").detail["guards"] == changeset.guards


def test_a_source_that_answers_nothing_deletes_nothing(guarded: Environments) -> None:
    """The older package deleted every row when the source answered `[]`, and with them rows of unregistered models."""
    product = guarded.add(Product, sku="a", name="A", only="default")[1]
    Comment.objects.create(product=product, text="local")
    fill(guarded, 3, 0)
    with guarded.untouched():
        changeset = stored(guarded)
        guarded.accept_all(changeset)
        for step in steps(guarded, changeset):
            with pytest.raises(InvalidTransition, match="blocked"):
                step()
        assert guarded.pull().state == PullState.DONE
    assert held(changeset) == [
        ("empty_side", TAG),
        ("empty_side", "testapp.product"),
        ("unregistered_cascade", "testapp.comment"),
    ]


def steps(environments: Environments, changeset: Changeset) -> Iterator[Callable[[], object]]:
    """Every way of having a changeset approved or applied."""
    changeset.refresh_from_db()
    of_this = {"revision": changeset.revision, "deadline": None}
    yield lambda: approval.approve(changeset.pk, environments.actor, revision=changeset.revision)
    yield lambda: apply.request_apply(changeset.pk, environments.actor)
    yield lambda: apply.request_apply(changeset.pk, environments.actor, **of_this)
    yield lambda: apply.approve_and_request(changeset.pk, environments.actor, **of_this)
    yield lambda: apply.run_apply(changeset.pk)


def test_a_model_that_the_source_does_not_offer_is_left_alone(guarded: Environments) -> None:
    fill(guarded, 3, 2)
    guarded.add(Category, slug="a", only="default")
    manifest = LocalSource.manifest

    def without_categories(source: LocalSource) -> Any:
        found = manifest(source)
        return replace(found, models={label: one for label, one in found.models.items() if "category" not in label})

    with (
        mock.patch.object(sources, "open_source", lambda _: Direct()),
        mock.patch.object(Direct, "manifest", without_categories),
    ):
        assert [(one.model, one.operation) for one in stored(guarded).changes.all()] == [(TAG, "delete")]
        asked = stored(guarded, "testapp.category", TAG)
    assert held(asked) == [("schema_difference", "testapp.category")]
    assert not asked.changes.filter(model="testapp.category").exists()


# What counts


def test_a_rename_deletes_nothing_and_a_row_under_another_key_does(guarded: Environments) -> None:
    guarded.add(Category, slug=("new", "old"), title="The same")
    renamed = stored(guarded)
    assert (renamed.renames, held(renamed)) == (1, [])
    asked = pull.request_pull(guarded.source, [], guarded.actor, find_renames=False)
    replaced = Changeset.objects.get(pull=pull.run_pull(asked.pk))
    assert (replaced.creates, replaced.deletes) == (1, 1)
    assert held(replaced) == [("too_many_deletes_percent", "testapp.category")]


def test_rows_below_a_renamed_one_do_not_count(guarded: Environments) -> None:
    product = guarded.add(Product, sku=("new", "old"), name="The same")
    guarded.add(Detail, product=product, text="below")
    changeset = stored(guarded)
    assert (changeset.renames, changeset.deletes, held(changeset)) == (1, 0, [])
    asked = pull.request_pull(guarded.source, [], guarded.actor, find_renames=False)
    changeset = Changeset.objects.get(pull=pull.run_pull(asked.pk))
    assert changeset.deletes == 2
    assert held(changeset) == [
        ("too_many_deletes_percent", "testapp.product"),
        ("too_many_deletes_percent", "testapp.detail"),
    ]


def test_a_rename_that_replaces_its_row_takes_nothing_along(guarded: Environments) -> None:
    """Which is why it counts as no delete: the row is here afterwards, under its new key, and no other has gone."""
    product = guarded.add(Product, sku=("new", "old"), name="The same")[1]
    comment = Comment.objects.create(product=product, text="local")
    changeset = stored(guarded)
    assert (changeset.renames, held(changeset)) == (1, [])
    replacing = {"options": {"rename_choice": RenameChoice.REPLACE}}
    with pytest.raises(InvalidTransition, match="would go along"):
        reviewing.decide(changeset, "accepted", 1, **replacing)
    comment.delete()
    changeset = stored(guarded)
    reviewing.decide(changeset, "accepted", 1, **replacing)
    guarded.apply(guarded.approve(changeset))
    assert Product.objects.get().sku == "new"


def test_rows_that_left_the_scope_count(guarded: Environments) -> None:
    for slug in "abc":
        guarded.add(Category, slug=slug, title="in" if slug == "a" else ("out", "in"))
    with (
        mock.patch.object(sources, "open_source", lambda _: Direct()),
        registered(Category, queryset=lambda rows: rows.filter(title="in")),
    ):
        changeset = stored(guarded)
    assert changeset.changes.filter(left_scope=True).count() == 2
    assert held(changeset) == [("too_many_deletes_percent", "testapp.category")]
    assert changeset.guards[0]["counts"] == {"here": 3, "there": 1, "deletes": 2, "along": 0}


def test_rows_that_are_registered_to_stay_do_not_count(guarded: Environments) -> None:
    guarded.add(Term, word="stays", only="default")
    fill(guarded, 3, 2)
    assert held(stored(guarded)) == []


def test_rows_that_go_along_count_once_each(guarded: Environments) -> None:
    """And links that are cut or set to null do not go."""
    guarded.add(Product, sku="kept", name="Kept")
    gone = guarded.add(Product, sku="gone", name="Gone", only="default")[1]
    for text in ("one", "two"):
        Comment.objects.create(product=gone, text=text)
    Visit.objects.create(product=gone)
    changeset = stored(guarded)
    assert held(changeset) == [("unregistered_cascade", "testapp.comment")]
    assert changeset.guards[0]["counts"] == {"here": 0, "there": 0, "deletes": 0, "along": 2}
    assert "2 rows of testapp.comment would be deleted along with others" in changeset.state_reason


def test_rows_of_a_model_that_this_pull_does_not_compare_count_as_going_along(guarded: Environments) -> None:
    german = guarded.add(Country, code="DE")
    country = guarded.add(Country, code="FR", only="default")[1]
    Language.objects.create(country=country, code="fr")
    assert held(stored(guarded, "testapp.country")) == [("unregistered_cascade", "testapp.language")]
    guarded.add(Language, country=german, code="de")
    assert held(stored(guarded)) == [], "compared, it is a delete of its own"


def test_a_delete_that_cannot_be_applied_takes_nothing_along(guarded: Environments) -> None:
    guarded.add(Product, sku="kept", name="Kept")
    gone = guarded.add(Product, sku="gone", name="Gone", only="default")[1]
    Comment.objects.create(product=gone, text="stays, too")
    Stock.objects.create(product=gone)
    changeset = stored(guarded)
    assert changeset.changes.get().has_problems
    assert held(changeset) == []


# Limits


def test_limits_go_from_model_to_source_to_setting(environments: Environments, settings: Any) -> None:
    settings.DATA_SYNC_DELETE_LIMIT, settings.DATA_SYNC_DELETE_PERCENT = 7, 20
    source, actor = environments.source, environments.actor
    limits.change_limits(source, actor, {limits.ALL: {"percent": None}})
    assert limits.limits_of(source) == Limits(default=Limit(rows=7, percent=20))
    assert limits.limits_of(None) == Limits(default=Limit(rows=7, percent=20))
    limits.change_limits(source, actor, {limits.ALL: {"rows": 3}, TAG: {"percent": 90}})
    found = limits.limits_of(source)
    assert found.of(TAG) == Limit(rows=3, percent=90)
    assert found.of("testapp.term") == Limit(rows=3, percent=20)


def test_the_limits_of_the_moment_count_for_a_pull_and_stay_with_what_it_stored(guarded: Environments) -> None:
    fill(guarded, 4, 3)
    queued = pull.request_pull(guarded.source, [], guarded.actor)
    limits.change_limits(guarded.source, guarded.actor, {TAG: {"rows": 0}})
    changeset = Changeset.objects.get(pull=pull.run_pull(queued.pk))
    assert held(changeset) == [("too_many_deletes", TAG)]
    limits.change_limits(guarded.source, guarded.actor, {TAG: {"rows": None}})
    changeset.refresh_from_db()
    assert (changeset.state, changeset.guards[0]["limit"]) == ("blocked", 0)


@pytest.mark.django_db
def test_a_change_of_limits_is_an_event_with_before_and_after() -> None:
    source = making.source()
    user = actors.of_user(making.user("ada", "change_datasource", "override_changeset_guard"))
    assert limits.change_limits(source, user, {limits.ALL: {"rows": 10}, TAG: {"rows": 0, "percent": 5}})
    assert limits.change_limits(source, user, {TAG: {"rows": None, "percent": None}})
    assert not limits.change_limits(source, user, {limits.ALL: {"rows": 10}}), "nothing new is no event"
    nothing = {"rows": None, "percent": None, "models": {}}
    both = {"rows": 10, "percent": None, "models": {TAG: {"rows": 0, "percent": 5}}}
    events = Event.objects.filter(chain=f"source:{source.pk}").order_by("number")
    assert [(event.action, event.actor, event.detail) for event in events] == [
        ("limits_changed", "ada", {"before": nothing, "after": both}),
        ("limits_changed", "ada", {"before": both, "after": both | {"models": {}}}),
    ]
    assert source.delete_limit == 10
    assert not DeleteLimit.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("label", "given", "words"),
    [
        ("", {"percent": 101}, "from 0 to 100, not 101"),
        ("", {"rows": -1}, "not -1"),
        (TAG, {"rows": 2**31}, "not 2147483648"),
        ("testapp.nothing", {"rows": 1}, "no registered model 'testapp.nothing'"),
    ],
)
def test_limits_that_say_nothing_are_refused(label: str, given: dict[str, int | None], words: str) -> None:
    source = making.source()
    with pytest.raises(InvalidInput, match=words):
        limits.change_limits(source, actors.command_line(), {label: given})
    assert limits.given_limits(source) == {"": {"rows": None, "percent": None}}


@pytest.mark.django_db
def test_limits_need_the_permission_to_change_the_source() -> None:
    source = making.source()
    user = actors.of_user(making.user("ada", "view_datasource", "pull_datasource", "override_changeset_guard"))
    with pytest.raises(NotPermitted, match=r"data_sync\.change_datasource"):
        limits.change_limits(source, user, {limits.ALL: {"rows": 10**6}})
    assert not Event.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "is_looser"),
    [
        ({limits.ALL: {"rows": 2**31 - 1, "percent": 100}}, True),
        ({limits.ALL: {"rows": 101}}, True),
        ({limits.ALL: {"rows": None}}, True),
        ({limits.ALL: {"rows": 0, "percent": 21}}, True),
        ({TAG: {"rows": 6}}, True),
        ({TAG: {"rows": None, "percent": None}}, True),
        ({TAG: {"rows": None, "percent": 1}}, True),
        ({"testapp.term": {"percent": 21}}, True),
        ({limits.ALL: {"rows": 99, "percent": 19}}, False),
        ({limits.ALL: {"rows": 0}, TAG: {"rows": 0}}, False),
        ({TAG: {"percent": 1}}, False),
        ({"testapp.term": {"rows": 100, "percent": 20}}, False),
    ],
    ids=str,
)
def test_raising_or_removing_a_limit_takes_the_permission_to_override_guards(
    given: dict[str, limits.Given], is_looser: bool
) -> None:
    source = making.source()
    limits.change_limits(source, actors.command_line(), {limits.ALL: {"rows": 100, "percent": 20}, TAG: {"rows": 5}})
    before = limits.given_limits(source)
    user = actors.of_user(making.user("ada", "change_datasource"))
    if not is_looser:
        assert limits.change_limits(source, user, given)
        return
    with pytest.raises(NotPermitted, match=r"data_sync\.override_changeset_guard"):
        limits.change_limits(source, user, given)
    assert limits.given_limits(source) == before
    both = actors.of_user(making.user("bob", "change_datasource", "override_changeset_guard"))
    assert limits.change_limits(source, both, given)


# Overriding


@pytest.fixture
def blocked(db: None) -> Changeset:
    guards = guards_of([Rows(label=TAG, here=800, there=388, deletes=412)], PLAIN)
    return reviewing.make("delete", state="blocked", guards=guards, state_reason=guards[0]["message"])


def test_an_override_covers_what_was_shown_and_keeps_who_and_why(blocked: Changeset) -> None:
    user = making.user("ada", "override_changeset_guard", "export_changeset")
    approval.override(blocked.pk, actors.of_user(user), " The list\r\nis gone on purpose. ", revision=0)
    blocked.refresh_from_db()
    assert (blocked.state, blocked.state_reason) == ("pending", "")
    event = approval.overridden(blocked)
    assert event is not None
    assert (event.actor, event.user) == ("ada", user)
    assert event.detail == {"reason": "The list\nis gone on purpose.", "guards": blocked.guards}
    assert event.detail["guards"][0]["counts"]["deletes"] == 412


def test_an_override_needs_its_permission(blocked: Changeset) -> None:
    everything_else = ("approve_changeset", "apply_changeset", "change_datasource", "export_changeset")
    with pytest.raises(NotPermitted, match="override_changeset_guard"):
        approval.override(blocked.pk, actors.of_user(making.user("ada", *everything_else)), "Because.")
    blocked.refresh_from_db()
    assert blocked.state == "blocked" and approval.overridden(blocked) is None


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("", "Say why"),
        (" \n\t ", "Say why"),
        ("\u200b\u2060", "Say why"),
        ("x" * 2001, "2001 characters, and 2000 is the most"),
        ("fine\x00", r"U\+0000"),
        ("fine\x1b[2J", r"U\+001B"),
        ("fine \u202egnorw", r"U\+202E"),
    ],
)
def test_an_override_needs_a_reason_that_can_be_read(blocked: Changeset, reason: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        approval.override(blocked.pk, reviewing.ACTOR, reason)
    blocked.refresh_from_db()
    assert blocked.state == "blocked"


@pytest.mark.parametrize("reason", ["x" * 2000, "Une raison: ça va 👩‍👩‍👧\n\tVraiment."])
def test_a_reason_may_be_long_and_in_any_language(blocked: Changeset, reason: str) -> None:
    approval.override(blocked.pk, reviewing.ACTOR, reason)
    event = approval.overridden(blocked)
    assert event is not None and event.detail["reason"] == reason


def test_an_override_of_an_older_revision_is_refused(blocked: Changeset) -> None:
    reviewing.decide(blocked, "rejected", 1)
    with pytest.raises(RevisionConflict, match="still blocked"):
        approval.override(blocked.pk, reviewing.ACTOR, "Because.", revision=0)
    blocked.refresh_from_db()
    assert blocked.state == "blocked"
    approval.override(blocked.pk, reviewing.ACTOR, "Because.", revision=blocked.revision)


def test_an_override_writes_before_it_reads(blocked: Changeset) -> None:
    """A transaction that has read is refused the write lock by SQLite where another wrote since."""
    statements: list[str] = []

    def listen(execute: Any, sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(listen):
        approval.override(blocked.pk, reviewing.ACTOR, "Because.", revision=0)
    first = next(sql for sql in statements if "data_sync_changeset" in sql)
    assert first.startswith("UPDATE"), first


def test_only_what_is_blocked_is_overridden_and_once(blocked: Changeset) -> None:
    approval.override(blocked.pk, reviewing.ACTOR, "Because.")
    with pytest.raises(InvalidTransition, match="is pending"):
        approval.override(blocked.pk, reviewing.ACTOR, "Because, again.", revision=0)
    assert blocked.events.filter(action="overridden").count() == 1


def test_deletes_that_are_rejected_lift_no_guard(guarded: Environments) -> None:
    fill(guarded, 3, 1)
    guarded.add(Category, slug="new", only="source")
    changeset = stored(guarded)
    deletes = changeset.changes.filter(operation="delete").values_list("number", flat=True)
    reviewing.decide(changeset, "rejected", *deletes)
    reviewing.decide(changeset, "accepted", changeset.changes.get(operation="create").number)
    for step in steps(guarded, changeset):
        with guarded.untouched(), pytest.raises(InvalidTransition, match="blocked"):
            step()
    approval.reject(changeset.pk, guarded.actor, "Not this way.")
    changeset.refresh_from_db()
    assert changeset.state == ChangesetState.REJECTED


def test_an_override_goes_over_to_no_other_changeset(guarded: Environments) -> None:
    fill(guarded, 3, 1)
    first = stored(guarded)
    approval.override(first.pk, guarded.actor, "Right this once.")
    guarded.accept_all(first)
    second = stored(guarded)
    assert second.changes.filter(decision="accepted").count() == 2, "decisions do go over"
    assert (second.state, held(second)) == ("blocked", held(first))
    assert approval.overridden(second) is None
    with pytest.raises(InvalidTransition, match="blocked"):
        guarded.approve(second)
    Tag.objects.using("source").create(name="tag-001")
    third = stored(guarded)
    assert (third.state, third.guards) == ("pending", []), "evaluated anew"


def test_what_was_overridden_is_applied_and_says_so_in_its_document(guarded: Environments) -> None:
    fill(guarded, 3, 0)
    changeset = stored(guarded)
    guarded.accept_all(changeset)
    approval.override(changeset.pk, guarded.actor, "Tags are no longer used.")
    assert guarded.apply(guarded.approve(changeset)).state == "applied"
    assert not Tag.objects.exists()
    document = json.loads("".join(changeset_document(changeset, guarded.actor)))
    assert document["changeset"]["guards"] == changeset.guards
    override = document["changeset"]["override"]
    assert (override["actor"], override["reason"]) == ("command line", "Tags are no longer used.")


def test_the_document_of_a_blocked_changeset_says_that_nobody_has_overridden_it(blocked: Changeset) -> None:
    document = json.loads("".join(changeset_document(blocked, reviewing.ACTOR)))
    assert (document["changeset"]["guards"], document["changeset"]["override"]) == (blocked.guards, None)
