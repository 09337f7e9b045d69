"""What holds for any two databases: the promises of a sync, tried on random rows of every kind of schema.

``DATA_SYNC_TEST_EXAMPLES=200`` tries more, and others each time.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from random import Random
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import FileField, QuerySet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_sync.core import packed
from data_sync.core.digests import DigestReader
from data_sync.core.errors import DataSyncError, InvalidTransition, MalformedStream
from data_sync.core.source import Request
from data_sync.core.states import ChangesetState, Decision, PullState
from data_sync.core.wire import StreamReader
from data_sync.models import Baseline, Change, Changeset
from data_sync.orm.read import LocalSource
from data_sync.orm.resolution import schemas
from data_sync.services import apply, approval, pull, pulling, reading, revert, review, sources
from tests.direct import Direct, Spoil, fresh
from tests.environments import Environments
from tests.hard.models import Book, Library, LocalSetNull, Member, Node, Owner, Permit, Place
from tests.testapp.models import Comment, Copy, Country, Language, Page, Product, Term, Visit
from tests.worlds import World, build, names, shuffled, some_names, worlds

pytestmark = pytest.mark.skipif(connection.vendor == "mysql", reason="random cases run on SQLite and PostgreSQL")

#: Not Hypothesis' own random numbers: it remembers each, and hundreds an example make it slow.
randoms = st.integers(0, 2**32 - 1).map(Random)
quietly = settings(
    max_examples=int(os.environ.get("DATA_SYNC_TEST_EXAMPLES", 10)),
    derandomize="DATA_SYNC_TEST_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
#: ``DATA_SYNC_TEST_REVERTS=1000`` tries so many reverts, and others each time.
reverting = settings(
    quietly,
    max_examples=int(os.environ.get("DATA_SYNC_TEST_REVERTS", 40)),
    derandomize="DATA_SYNC_TEST_REVERTS" not in os.environ,
)
#: Whether tables count as large: their digests are listed first, or they are streamed at once.
listed = st.booleans()


@pytest.fixture
def direct(environments: Environments) -> Iterator[Environments]:
    environments.source_media = environments.media  # Where this process keeps files.
    with mock.patch.object(sources, "open_source", lambda _: Direct()):
        yield environments


def pulled(direct: Environments, large: bool, *labels: str, spoil: Spoil | None = None) -> Any:
    with (
        mock.patch.object(sources, "open_source", lambda _: Direct(spoil)),
        mock.patch.object(pulling, "SMALL", -1 if large else reading.SMALL),
    ):
        return direct.pull(*labels)


def whole(direct: Environments, large: bool = False, *labels: str) -> Changeset | None:
    done = pulled(direct, large, *labels)
    assert done.state == PullState.DONE, done.error
    return Changeset.objects.filter(pull=done).first()


def unblocked(direct: Environments, changeset: Changeset) -> None:
    if changeset.state == ChangesetState.BLOCKED:
        approval.override(changeset.pk, direct.actor, "a test")


def applied(direct: Environments, changeset: Changeset) -> None:
    done = direct.apply(direct.approve(changeset))
    told = list(changeset.changes.exclude(outcome_reason="").values_list("model", "key_text", "outcome_reason"))
    assert done.state == ChangesetState.APPLIED, (done.state_reason, told)


def apply_all(direct: Environments, changeset: Changeset) -> None:
    problems = list(changeset.changes.filter(has_problems=True).values_list("model", "key_text", "problems"))
    assert not problems, problems
    unblocked(direct, changeset)
    direct.accept_all(changeset)
    applied(direct, changeset)


def told(changeset: Changeset | None) -> list[Any]:
    """What a changeset says, without what only this database knows; digests with redacted fields are its own."""
    if changeset is None:
        return []
    told = ("model", "operation", "key", "previous_key", "before", "after", "diff", "before_digest", "after_digest")
    rows = changeset.changes.values_list(*told)
    return sorted((row[:-2] if row[0] in changeset.redacted else row for row in rows), key=repr)


@quietly
@given(worlds, randoms, listed)
def test_equal_sides_have_no_changeset(direct: Environments, world: World, random: Random, large: bool) -> None:
    with fresh(direct):
        build(world, "source")
        build(shuffled(world, random), "default")
        assert whole(direct, large) is None


@quietly
@given(worlds, worlds, listed)
def test_applying_the_whole_makes_the_target_what_the_source_is(
    direct: Environments, there: World, here: World, large: bool
) -> None:
    with fresh(direct):
        build(there, "source")
        build(here, "default")
        changeset = whole(direct, large)
        if changeset is not None:
            apply_all(direct, changeset)
        direct.assert_equal()
        assert whole(direct, large) is None


@quietly
@given(worlds, worlds, st.lists(names, max_size=4), some_names, listed)
def test_rows_and_fields_outside_of_the_scope_stay_untouched(
    direct: Environments, there: World, here: World, local: list[str], other: set[str], large: bool
) -> None:
    """Local rows go only where the review shows it; rows out of scope, fields that are not synced, never."""
    with fresh(direct):
        build(there, "source")
        build(here, "default")
        for number, sku in enumerate(local):
            product = Product.objects.filter(sku=sku).first()
            if product is not None:
                (Comment if number % 2 else Visit).objects.create(product=product)
        _outside("source", other, "theirs")
        _outside("default", other | {"e"}, "ours")
        comments, before = set(Comment.objects.values_list("pk", flat=True)), _what_is_outside()
        changeset = whole(direct, large)
        shown: set[int] = set()
        if changeset is not None:
            taken = Change.objects.filter(changeset=changeset).exclude(operation="rename")
            for cascades in taken.values_list("cascades", flat=True):
                shown |= {int(one["pk"]) for one in cascades if one["model"] == "testapp.comment"}
            apply_all(direct, changeset)
        assert comments - set(Comment.objects.values_list("pk", flat=True)) == shown
        assert _what_is_outside() == before


def _outside(alias: str, some: set[str], text: str) -> None:
    """Rows out of scope, rows that are never deleted, a field that is not synced, a local row of a synced one."""
    country = Country.objects.using(alias).create(code="FR")
    language = Language.objects.using(alias).create(country=country, code="fr")
    owner = Owner.objects.using(alias).create(name="stays")
    for number, name in enumerate(sorted(some)):
        Page.objects.using(alias).create(slug=f"{text}-{name}", title=text, published=False)
        Permit.objects.using(alias).create(name=f"{text} {name}", number=number, live=False)
        Copy.objects.using(alias).create(language=language, key=name, value=text, default=f"{text} {name}")
        Term.objects.using(alias).create(word=f"{text} {name}", meaning=text)
        LocalSetNull.objects.using(alias).create(owner=owner)


def _what_is_outside() -> list[Any]:
    return [
        set(Page.objects.filter(published=False).values_list()),
        set(Permit.objects.filter(live=False).values_list()),
        set(Copy.objects.filter(key__in="abcd").exclude(default="").values_list("key", "default")),
        set(Term.objects.filter(meaning="ours").values_list()),
        set(LocalSetNull.objects.values_list()),
    ]


@quietly
@given(worlds, worlds, listed)
def test_applying_twice_is_applying_once(direct: Environments, there: World, here: World, large: bool) -> None:
    with fresh(direct):
        build(there, "source")
        build(here, "default")
        changeset = whole(direct, large)
        if changeset is None:
            return
        apply_all(direct, changeset)
        with direct.untouched():
            with pytest.raises(InvalidTransition):
                apply.request_apply(changeset.pk, direct.actor)
            # A task that is delivered once more is told so, or finds that there is nothing to do.
            with contextlib.suppress(InvalidTransition):
                apply.run_apply(changeset.pk)
        assert changeset.events.filter(action="applied").count() == 1


@reverting
@given(worlds, worlds, st.lists(names, max_size=4), randoms)
def test_a_revert_brings_back_what_was_or_refuses(
    direct: Environments, there: World, here: World, local: list[str], random: Random
) -> None:
    """Rows and files, those of local rows and of fields out of every record too; in one go, or in two parts.

    Of plain many-to-many tables, and of files, not the keys and names that the database and the storage give them.
    """
    with fresh(direct):
        build(there, "source")
        build(here, "default")
        for number, sku in enumerate(local):
            product = Product.objects.filter(sku=sku).first()
            if product is not None:
                (Comment if number % 2 else Visit).objects.create(product=product)
        for owner in ("stays", "goes"):
            LocalSetNull.objects.create(owner=Owner.objects.create(name=owner))
        Owner.objects.using("source").create(name="stays")
        before = everything_here(direct)
        changeset = whole(direct)
        if changeset is None:
            return
        requires = dict(changeset.changes.values_list("number", "requires"))
        chosen = _closed({number for number in requires if random.random() < 0.8} or set(requires), requires)
        unblocked(direct, changeset)
        direct.accept(changeset, *chosen)
        applied(direct, changeset)
        if random.random() < 0.3:
            undo(direct, changeset, {number for number in chosen if random.random() < 0.5})
        undo(direct, changeset, None)
        changeset.refresh_from_db()
        after = everything_here(direct)
        for label, rows in before.items():
            assert after[label] == rows, label
        assert changeset.state == ChangesetState.REVERTED


def undo(direct: Environments, changeset: Changeset, numbers: set[int] | None) -> None:
    """Reverts as much of these changes as can be without others, or all."""
    left = set(changeset.changes.filter(outcome="applied", reverted_by=None).values_list("number", flat=True))
    if not left or numbers == set():
        return
    done = pull.run_pull(revert.request_revert(changeset, numbers, direct.actor).pk)
    assert done.state == PullState.DONE, done.error
    made = Changeset.objects.filter(pull=done).first()
    if made is None:
        return
    unblocked(direct, made)
    requires = dict(made.changes.values_list("number", "requires"))
    refused = set(made.changes.filter(has_problems=True).values_list("number", flat=True))
    assert numbers is not None or not refused, list(made.changes.filter(has_problems=True).values_list("problems"))
    chosen = {number for number in requires if not _closed({number}, requires) & refused}
    if chosen:
        assert not made.changes.filter(is_conflict=True, number__in=chosen).exists() or numbers is None
        selection = review.Selection(numbers=tuple(chosen))
        review.decide(made.pk, selection, Decision.ACCEPTED, direct.actor, revision=None, acknowledge=True)
        applied(direct, made)


def everything_here(direct: Environments) -> Any:
    """Every row of every table by its primary key, with the bytes of its files."""
    found = {}
    for app in ("testapp", "hard"):
        for model in apps.get_app_config(app).get_models(include_auto_created=True):
            if not model._meta.managed or model._meta.proxy:
                continue
            fields = [field for field in model._meta.local_concrete_fields if not _is_number_of_link(model, field)]
            rows = QuerySet(model, using="default").values_list(*(field.attname for field in fields))
            found[model._meta.label_lower] = sorted(
                (tuple(_as_stored(field, value) for field, value in zip(fields, row, strict=True)) for row in rows),
                key=repr,
            )
    return found


def _is_number_of_link(model: Any, field: Any) -> bool:
    return bool(model._meta.auto_created and field.primary_key)


def _as_stored(field: Any, value: Any) -> Any:
    if isinstance(field, FileField) and value:
        with field.storage.open(value) as stored:
            return stored.read()
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True)  # In which order an object has its members, no database need know.
    return bytes(value) if isinstance(value, memoryview) else repr(value)


@quietly
@given(worlds, worlds, randoms, listed)
def test_the_order_of_rows_and_models_does_not_matter(
    direct: Environments, there: World, here: World, random: Random, large: bool
) -> None:
    with fresh(direct):
        build(there, "source")
        build(here, "default")
        first = told(whole(direct, large))
    with fresh(direct):
        build(shuffled(there, random), "source")
        build(shuffled(here, random), "default")
        labels = list(schemas())
        random.shuffle(labels)
        assert told(whole(direct, not large, *labels)) == first


@quietly
@given(worlds, worlds, randoms)
def test_what_is_accepted_is_closed_under_what_it_requires(
    direct: Environments, there: World, here: World, random: Random
) -> None:
    with fresh(direct):
        build(there, "source")
        build(here, "default")
        changeset = whole(direct)
        if changeset is None:
            return
        unblocked(direct, changeset)
        requires = dict(changeset.changes.values_list("number", "requires"))
        assert all(set(needed) <= requires.keys() for needed in requires.values())
        chosen = {number for number in requires if random.random() < 0.4} or {min(requires)}
        direct.accept(changeset, *chosen)
        if all(set(requires[number]) <= chosen for number in chosen):
            direct.approve(changeset)
        else:
            with pytest.raises(InvalidTransition):
                direct.approve(changeset)
        review.decide(
            changeset.pk,
            review.Selection(numbers=tuple(chosen)),
            Decision.ACCEPTED,
            direct.actor,
            revision=None,
            with_requirements=True,
        )
        accepted = set(changeset.changes.filter(decision="accepted").values_list("number", flat=True))
        assert accepted == _closed(chosen, requires)
        applied(direct, changeset)


def _closed(chosen: set[int], requires: dict[int, list[int]]) -> set[int]:
    chosen = set(chosen)
    while more := {need for number in chosen for need in requires[number]} - chosen:
        chosen |= more
    return chosen


@quietly
@given(worlds, worlds, randoms, listed)
def test_a_closed_part_and_then_the_rest_make_the_whole(
    direct: Environments, there: World, here: World, random: Random, large: bool
) -> None:
    with fresh(direct):
        build(there, "source")
        build(here, "default")
        changeset = whole(direct, large)
        if changeset is None:
            return
        requires = dict(changeset.changes.values_list("number", "requires"))
        chosen = _closed({number for number in requires if random.random() < 0.5}, requires)
        if chosen:
            unblocked(direct, changeset)
            direct.accept(changeset, *chosen)
            applied(direct, changeset)
        rest = whole(direct, large)
        if rest is not None:
            apply_all(direct, rest)
        direct.assert_equal()


@quietly
@given(worlds, randoms, listed)
def test_once_renames_are_applied_every_row_is_known_as_it_is_and_no_other(
    direct: Environments, world: World, random: Random, large: bool
) -> None:
    """So no edit at the source is a conflict after that, and each edit here is one."""
    with fresh(direct):
        for alias in ("source", "default"):
            build(world, alias)
        assert whole(direct, large) is None
        for model, column in ((Library, "name"), (Node, "slug"), (Place, "slug"), (Product, "sku"), (Member, "name")):
            for row in model._base_manager.using("source").all():
                if random.random() < 0.5:
                    model._base_manager.using("source").filter(pk=row.pk).update(
                        **{column: f"{getattr(row, column)}{random.choice('123')}"}
                    )
        for book in Book.objects.using("source").all():
            if random.random() < 0.2:
                Book.objects.using("source").filter(pk=book.pk).update(title=random.choice("xyz"))
        changeset = whole(direct, large)
        if changeset is None:
            return
        apply_all(direct, changeset)
        known, here = agreed(), listed_here()
        never = {label for label, schema in schemas().items() if schema.registration.deletes == "never"}
        for label in here.keys() - never:
            assert known.get(label, {}) == here[label], label


def agreed() -> dict[str, dict[bytes, bytes]]:
    """Digests by key hash, as baselines have them."""
    known: dict[str, dict[bytes, bytes]] = {}
    for label, entries in Baseline.objects.values_list("model", "entries"):
        known.setdefault(label, {}).update(packed.unpack(bytes(entries)))
    return known


def listed_here() -> dict[str, dict[bytes, bytes]]:
    """The same, as the rows are."""
    labels, _, digests = streamed("default")
    found: dict[str, dict[bytes, bytes]] = {label: {} for label in labels}
    for label, key, digest, _ in listing(labels, digests):
        found[label][key] = digest
    return found


# What is on the wire


def streamed(alias: str) -> tuple[list[str], bytes, bytes]:
    """A database as the source sends it: the models, the stream of all records, and the listing of digests."""
    labels = list(schemas())
    request, source = Request(models=tuple(labels)), LocalSource(using=alias)
    with source.stream(request) as blocks:
        stream = b"".join(blocks)
    with source.digests(request) as blocks:
        return labels, stream, b"".join(blocks)


def parsed(labels: list[str], stream: bytes) -> list[Any]:
    """Record by record what a stream holds; without what stands beside records, such as the moments of saving."""
    reader = StreamReader(iter([stream]), labels)
    # To the end first: before the closing line has vouched for them, lines may be anything.
    lines = [line for numbered in reader for _, line in numbered]
    records = [json.loads(line)[1] for line in lines]
    # As a pull does, once it knows of which models the records are.
    if reader.counts != {label: sum(record[0] == label for record in records) for label in labels}:
        raise MalformedStream("The closing line counts other records.")
    return records


def listing(labels: list[str], digests: bytes) -> list[Any]:
    return [(label, *row) for label, rows in DigestReader(iter([digests]), labels) for row in rows]


@quietly
@given(worlds, randoms)
def test_what_is_serialised_is_parsed_and_what_is_cut_never_is(
    direct: Environments, world: World, random: Random
) -> None:
    with fresh(direct):
        build(world, "source")
        build(shuffled(world, random), "default")
        labels, stream, digests = streamed("source")
        _, ours, our_digests = streamed("default")
        assert sorted(parsed(labels, stream), key=repr) == sorted(parsed(labels, ours), key=repr)
        there, here = listing(labels, digests), listing(labels, our_digests)
        assert sorted(row[:3] for row in there) == sorted(row[:3] for row in here)
        assert len(there) == len(parsed(labels, stream))
        for _ in range(20):
            cut = random.randrange(len(stream))
            with pytest.raises(DataSyncError):
                parsed(labels, stream[:cut])
            cut = random.randrange(len(digests))
            with pytest.raises(DataSyncError):
                listing(labels, digests[:cut])


def flipped(answer: bytes, random: Random) -> bytes:
    place = random.randrange(len(answer))
    return answer[:place] + bytes([answer[place] ^ 1 << random.randrange(8)]) + answer[place + 1 :]


@quietly
@given(worlds, worlds, randoms, listed)
def test_a_flipped_bit_is_never_another_changeset(
    direct: Environments, there: World, here: World, random: Random, large: bool
) -> None:
    """A pull of a spoilt answer fails, or finds out in time what the source really has."""
    with fresh(direct):
        build(there, "source")
        build(here, "default")
        first = told(whole(direct, large))
        for where in ("stream", "digests", "records"):
            done = pulled(
                direct, large, spoil=lambda name, it, where=where: flipped(it, random) if name == where else it
            )
            if done.state == PullState.DONE:
                assert told(Changeset.objects.filter(pull=done).first()) == first
            else:
                assert done.state == PullState.FAILED and done.error
                assert "Unexpected" not in done.error, done.error
                assert not Changeset.objects.filter(pull=done).exists()


@quietly
@given(worlds, randoms)
def test_a_flipped_bit_is_never_parsed(direct: Environments, world: World, random: Random) -> None:
    with fresh(direct):
        build(world, "source")
        labels, stream, digests = streamed("source")
        for _ in range(100):
            with pytest.raises(DataSyncError):
                parsed(labels, flipped(stream, random))
            with pytest.raises(DataSyncError):
                listing(labels, flipped(digests, random))


@quietly
@given(worlds, worlds, randoms, listed, st.sampled_from(["stream", "digests", "records"]))
def test_a_cut_answer_is_never_a_changeset(
    direct: Environments, there: World, here: World, random: Random, large: bool, where: str
) -> None:
    def cut(name: str, answer: bytes) -> bytes:
        return answer[: random.randrange(len(answer))] if name == where else answer

    with fresh(direct):
        build(there, "source")
        build(here, "default")
        asked = []
        done = pulled(direct, large, spoil=lambda name, answer: asked.append(name) or cut(name, answer))
        if where in asked:
            assert done.state == PullState.FAILED and "Unexpected" not in done.error, done.error
            assert not Changeset.objects.exists()
        else:
            assert done.state == PullState.DONE, done.error
