"""Pull, review, apply: the target becomes what the source is, and only when a person has said so."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth import get_user_model

from data_sync.core.states import ChangesetState, Operation, Outcome, PullState
from data_sync.models import Change, Changeset, Event, PromotedFile
from data_sync.services import actors, apply
from tests.environments import Environments
from tests.testapp.models import (
    Category,
    Comment,
    Copy,
    Country,
    Currency,
    Detail,
    Document,
    Language,
    Page,
    Player,
    Price,
    Product,
    Tag,
    Team,
    Term,
)
from tests.testapp.pictures import picture


@pytest.fixture
def world(environments: Environments) -> Environments:
    """Two environments that have drifted apart: rows of each kind added, changed and removed at the source."""
    add, put = environments.add, environments.put
    france, japan = add(Country, code="FR"), add(Country, code="JP")
    italy = add(Country, code="IT", only="source")
    french, japanese = add(Language, country=france, code="fr"), add(Language, country=japan, code="ja")
    add(Language, country=italy, code="it", only="source")
    red, blue = put("red.png", picture("red")), put("blue.png", picture("blue"))
    put("green.png", picture("green"), only="source")
    add(Copy, language=french, key="title", value=("Bonjour à tous", "Bonjour"), default="", thumbnail=red)
    add(Copy, language=french, key="same", value="Même", default=("there", "here"), thumbnail=blue)
    add(Copy, language=japanese, key="title", value="見出し", default="", thumbnail=("green.png", red))
    add(Copy, language=japanese, key="new", value="新しい", default="", thumbnail="green.png", only="source")
    add(Copy, language=japanese, key="gone", value="古い", default="", thumbnail=blue, only="default")

    root = add(Category, slug="root")
    old = add(Category, slug="old", parent=root, only="default")
    new = add(Category, slug="new", parent=root, only="source")
    add(Category, slug="newer", parent=new, only="source")
    moved = add(Category, slug="moved", parent=(new[0], old[1]))
    add(Category, slug="oldest", parent=old, only="default")

    small, large = add(Tag, name="small"), add(Tag, name="large")
    fresh = add(Tag, name="fresh", only="source")
    stale = add(Tag, name="stale", only="default")
    lamp = add(Product, sku="lamp", name=("Lamp, improved", "Lamp"), category=moved)
    chair = add(Product, sku="chair", name="Chair", category=(None, old[1]))
    table = add(Product, sku="table", name="Table", category=new, only="source")
    sofa = add(Product, sku="sofa", name="Sofa", only="default")
    lamp[0].tags.set([small[0], fresh[0]])
    lamp[1].tags.set([small[1], large[1], stale[1]])
    chair[0].related.set([lamp[0], table[0]])
    chair[1].related.set([sofa[1]])
    table[0].related.set([table[0]])
    add(Detail, product=lamp, text="A lamp")
    add(Detail, product=table, text="A table", only="source")
    euro, yen = (
        add(Currency, number=978, code="EUR"),
        add(Currency, number=392, code="JPY", only="source"),
    )
    add(Price, product=lamp, currency=euro, amount=(Decimal("19.90"), Decimal("19.95")))
    add(Price, product=table, currency=yen, amount=Decimal("12000"), only="source")

    reds = add(Team, name="reds", only="source")
    captain = add(Player, team=reds, number=10, only="source")
    Team.objects.using("source").filter(pk=reds[0].pk).update(captain=captain[0])
    terms = put("documents/terms.txt", b"Terms, second edition", only="source")
    add(Document, name="terms", attachment=terms, only="source")
    add(Page, slug="hidden", title=("there", "here"), published=False)
    add(Page, slug="left", published=(False, True))
    add(Page, slug="shown", title=("new", "old"))
    add(Term, word="ours", only="default")
    add(Term, word="theirs", meaning="new", only="source")
    add(Comment, product=sofa, text="Lovely sofa", only="default")
    return environments


def test_the_target_becomes_what_the_source_is(world: Environments) -> None:
    with world.untouched():
        changeset = world.let_through(world.changeset())
        world.accept_all(changeset)
        world.approve(changeset)
    applied = world.apply(changeset)
    assert applied.state == ChangesetState.APPLIED, applied.state_reason
    world.assert_equal()

    again = world.pull()
    assert (again.state, again.error) == (PullState.DONE, "")
    assert not Changeset.objects.filter(pull=again).exists()
    assert again.compared == sum(map(len, world.contents().values()))


def test_a_pull_stores_one_row_per_change_and_says_what_it_came_to(world: Environments) -> None:
    changeset = world.changeset()
    found = {(change.model, tuple(change.key)): change.operation for change in changeset.changes.all()}
    assert found[("testapp.copy", ("FR", "fr", "title"))] == Operation.UPDATE
    assert found[("testapp.copy", ("JP", "ja", "gone"))] == Operation.DELETE
    assert found[("testapp.price", ("table", 392))] == Operation.CREATE
    assert found[("testapp.page", ("left",))] == Operation.DELETE
    for equal in (("testapp.copy", ("FR", "fr", "same")), ("testapp.page", ("hidden",)), ("testapp.term", ("ours",))):
        assert equal not in found
    counts = {operation: list(found.values()).count(operation) for operation in Operation}
    assert counts == {
        Operation.CREATE: changeset.creates,
        Operation.UPDATE: changeset.updates,
        Operation.DELETE: changeset.deletes,
        Operation.RENAME: changeset.renames,
    }
    assert changeset.state == ChangesetState.BLOCKED
    assert [(guard["code"], guard["model"]) for guard in changeset.guards] == [
        ("unregistered_cascade", "testapp.comment")
    ]


def test_an_update_holds_before_after_diff_and_both_files(world: Environments) -> None:
    change = world.changeset().changes.get(key_text="JP · ja · title")
    assert change.before == change.after == {"value": "見出し", "key": "title", "language": ["JP", "ja"]}
    assert change.diff == []
    red, green = picture("red"), picture("green")
    assert change.files["thumbnail"] == {
        "before": {"name": "red.png", "size": len(red), "checksum": "sha256:" + hashlib.sha256(red).hexdigest()},
        "after": {"name": "green.png", "size": len(green), "checksum": "sha256:" + hashlib.sha256(green).hexdigest()},
    }
    change = Change.objects.get(changeset=change.changeset, key_text="FR · fr · title")
    assert (change.before["value"], change.after["value"]) == ("Bonjour", "Bonjour à tous")
    assert [(row["path"], row["kind"]) for row in change.diff] == [(["value"], "changed")]


def test_a_pull_alone_touches_no_row_and_no_file(world: Environments) -> None:
    with world.untouched():
        assert world.pull().state == PullState.DONE


def test_fields_outside_of_the_registration_keep_their_local_values(world: Environments) -> None:
    local = Copy.objects.get(key="same")
    world.sync()
    assert Copy.objects.get(key="same").default == "here" == local.default
    assert Page.objects.get(slug="hidden").title == "here"
    assert Term.objects.filter(word="ours").exists()


def test_carried_times_are_those_of_the_source(world: Environments) -> None:
    world.sync()
    for sku in ("lamp", "table"):
        there = Product.objects.using("source").get(sku=sku)
        here = Product.objects.get(sku=sku)
        assert (here.created, here.updated) == (there.created, there.updated)


def test_every_change_has_an_outcome(world: Environments) -> None:
    changeset = world.let_through(world.changeset())
    gone = changeset.changes.get(key_text="JP · ja · gone").number
    world.accept(changeset, *changeset.changes.exclude(number=gone).values_list("number", flat=True))
    world.approve(changeset)
    world.apply(changeset)
    outcomes = dict(changeset.changes.values_list("number", "outcome"))
    assert outcomes.pop(gone) == Outcome.SKIPPED
    assert set(outcomes.values()) == {Outcome.APPLIED}
    assert Copy.objects.filter(key="gone").exists()


def test_the_audit_trail_is_a_chain_from_pull_to_apply(world: Environments) -> None:
    changeset = world.sync()
    events = list(Event.objects.filter(changeset=changeset).order_by("number"))
    assert [event.action for event in events] == ["pulled", "overridden", "decided", "approved", "applied"]
    previous = ""
    for number, event in enumerate(events, start=1):
        # As a reader of the export would: SHA-256 over the canonical JSON of the hash before and the event.
        content = {
            "number": number,
            "at": event.at.isoformat(),
            "actor": "command line",
            "action": event.action,
            "detail": event.detail,
        }
        text = json.dumps([previous, content], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        assert event.previous == previous
        assert event.hash == "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        previous = event.hash


def test_each_touched_row_has_an_entry_in_its_history(world: Environments) -> None:
    user = get_user_model().objects.create_superuser("ada")
    changeset = world.approved()
    gone = Copy.objects.get(key="gone").pk
    apply.request_apply(changeset.pk, actors.of_user(user))
    apply.run_apply(changeset.pk)
    entries = LogEntry.objects.filter(user=user)
    assert entries.count() == changeset.changes.count()
    by_row = {(entry.content_type.model, entry.object_id): entry for entry in entries}
    lamp = by_row["product", str(Product.objects.get(sku="lamp").pk)]
    assert (lamp.action_flag, lamp.object_repr) == (CHANGE, "lamp")
    assert "name" in lamp.change_message and str(changeset.pk) in lamp.change_message
    assert by_row["product", str(Product.objects.get(sku="table").pk)].action_flag == ADDITION
    assert by_row["copy", str(gone)].action_flag == DELETION


def test_no_row_refers_to_a_file_that_is_missing(world: Environments) -> None:
    before = world.files()
    world.sync()
    assert world.files().items() >= before.items(), "replaced files stay, so that a revert has their bytes"
    for copy in Copy.objects.all():
        assert copy.thumbnail.name in world.files()
    assert not PromotedFile.objects.exists()


def test_a_row_that_is_already_as_it_would_be_is_unchanged(world: Environments) -> None:
    changeset = world.approved()
    copy = Copy.objects.get(key="title", language__code="fr")
    Copy.objects.filter(pk=copy.pk).update(value="Bonjour à tous")
    world.apply(changeset)
    outcome = changeset.changes.get(key_text="FR · fr · title").outcome
    assert outcome == Outcome.UNCHANGED
    world.assert_equal()


def test_primary_keys_of_the_source_never_arrive(world: Environments) -> None:
    world.sync()
    keys = [key for row in world.tables()["testapp_product"] for key in row[:1]]
    assert all(key < 1_000_000 for key in keys)


def test_nothing_differs_and_the_pull_says_how_much_it_compared(environments: Environments) -> None:
    environments.add(Country, code="FR")
    environments.add(Country, code="JP")
    pulled = environments.pull()
    assert (pulled.state, pulled.compared) == (PullState.DONE, 2)
    assert not Changeset.objects.exists()
    assert next(row for row in pulled.report["models"] if row["label"] == "testapp.country")["compared"] == 2
