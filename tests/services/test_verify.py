"""What is exported and stored verifies as long as nobody has altered it, and wherever somebody has, it is named."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone

from data_sync.core.errors import InvalidInput, NotPermitted
from data_sync.core.seal import event_hash
from data_sync.core.verification import UNCODED
from data_sync.models import ChainMark, Changeset, Event
from data_sync.services import actors, approval, audit, ledger, limits, pull, remarks, sources, verify
from data_sync.services.document import changeset_document, document_lines
from tests.environments import Environments
from tests.testapp.models import Article, Category, Copy, Country, Language, Product, Tag

pytestmark = pytest.mark.django_db(transaction=True)

ACTOR = actors.command_line()
KEYS = ["first key of thirty-two bytes or more", "second key of thirty-two bytes or more"]


def mixed(environments: Environments) -> Changeset:
    """Creates, an update, deletes and a rename; a file, a reference, a link."""
    add, put = environments.add, environments.put
    french = add(Language, country=add(Country, code="FR"), code="fr")
    put("green.png", b"green", only="source")
    red = put("red.png", b"red")
    add(Copy, language=french, key="title", value=("É\u2028", "E"), default="", thumbnail=("green.png", red))
    add(Copy, language=french, key="gone", value="", default="", thumbnail=red, only="default")
    lamp = add(Product, sku="lamp", name=("Lamp, improved", "Lamp"), category=add(Category, slug="light"))
    lamp[0].tags.add(add(Tag, name="new", only="source")[0])
    add(Article, slug=("new-name", "old-name"), title="The same")
    return environments.changeset()


def exported(changeset: Changeset) -> bytes:
    return "".join(changeset_document(changeset, ACTOR)).encode()


def verdict(content: bytes) -> verify.Verdict:
    return verify.verify_file(io.BytesIO(content), ACTOR)


def where(found: Any) -> list[str]:
    return [fault.where for fault in found.faults]


def test_it_matches_from_pull_to_apply(environments: Environments, settings: Any) -> None:
    settings.DATA_SYNC_AUDIT_KEYS = KEYS
    changeset = mixed(environments)

    def check(state: str) -> None:
        found = verdict(exported(changeset))
        assert where(found) == []
        assert (found.number, found.state, found.changes) == (changeset.pk, state, changeset.changes.count())
        assert found.key is not None and found.keyed == found.events == changeset.events.count()
        everything = verify.verify_all(ACTOR)
        assert (where(everything), everything.unchecked) == ([], [])
        assert where(verify.verify_changeset(changeset, ACTOR)) == []

    check("pending")
    environments.accept_all(changeset)
    remarks.comment(changeset.changes.first(), "Why?\nÉ", ACTOR)
    environments.approve(changeset)
    check("approved")
    approval.withdraw(changeset.pk, ACTOR)
    check("pending")
    environments.apply(environments.approve(changeset))
    check("applied")


def _sql(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def _chain_anew(chain: str) -> None:
    """As somebody does who has the database and knows how hashes are made."""
    previous = ""
    for number, event in enumerate(Event.objects.filter(chain=chain).order_by("number"), start=1):
        event.number = number
        hash_ = event_hash(previous, audit.event_content(event))
        Event._base_manager.filter(pk=event.pk).update(number=number, previous=previous, hash=hash_)
        previous = hash_


def _events(changeset: Changeset) -> Any:
    return Event._base_manager.filter(chain=f"changeset:{changeset.pk}")


def _cut_and_chained_anew(changeset: Changeset) -> None:
    _events(changeset).filter(number=2).delete()
    _chain_anew(f"changeset:{changeset.pk}")


def _swapped(changeset: Changeset) -> None:
    for old, new in ((2, 99), (3, 2), (99, 3)):
        _events(changeset).filter(number=old).update(number=new)


def _changes_swapped(changeset: Changeset) -> None:
    for old, new in ((2, 99), (3, 2), (99, 3)):
        changeset.changes.filter(number=old).update(number=new)


def _inserted(changeset: Changeset) -> None:
    last = _events(changeset).latest("number")
    last.pk, last.number, last.previous = None, last.number + 1, last.hash
    last.hash = event_hash(last.previous, audit.event_content(last))
    Event.objects.bulk_create([last])


def _ledger_cut(changeset: Changeset) -> None:
    ChainMark._base_manager.filter(sequence=3).delete()


def _chain(changeset: Changeset) -> str:
    return f"source:{changeset.source_id}"


ALTERATIONS: dict[str, tuple[Callable[[Changeset], Any], str]] = {
    "a value": (lambda c: c.changes.filter(number=2).update(after={"value": "x"}), "{c}, change 2: after_digest"),
    "a value's text": (
        lambda c: _sql("UPDATE data_sync_change SET diff = '[ ]' WHERE number = 2"),
        "{c}, file: line 3 (change 2 in order)",
    ),
    "a digest": (lambda c: c.changes.filter(number=2).update(content_digest="x"), "{c}, change 2: content_digest"),
    "a key's digest": (lambda c: c.changes.filter(number=2).update(key_digest="x"), "{c}, change 2: key_digest"),
    "a problem hidden": (lambda c: c.changes.filter(number=2).update(has_problems=True), "{c}, change 2: has_problems"),
    "a key as it is shown": (lambda c: c.changes.filter(number=2).update(key_text="x"), "{c}, change 2: key_text"),
    "cascades hidden": (lambda c: c.changes.filter(number=2).update(has_cascades=True), "{c}, change 2: has_problems"),
    "another source": (lambda c: Changeset.objects.filter(pk=c.pk).update(source_name="x"), "{c}, changeset: source"),
    "another requester": (
        lambda c: Changeset.objects.filter(pk=c.pk).update(actor="x"),
        "{c}, changeset: requested_by",
    ),
    "another approver": (
        lambda c: Changeset.objects.filter(pk=c.pk).update(approval_actor="x"),
        "{c}, changeset: approval_actor",
    ),
    "another who applied": (
        lambda c: Changeset.objects.filter(pk=c.pk).update(apply_actor="x"),
        "{c}, changeset: apply_actor",
    ),
    "a guard hidden": (lambda c: Changeset.objects.filter(pk=c.pk).update(guards=["x"]), "{c}, changeset: guards"),
    "what no apply writes": (lambda c: c.changes.filter(number=2).update(kept={"x": 1}), "{c}, changeset"),
    "what is no JSON": (lambda c: _sql("UPDATE data_sync_event SET detail = '{'"), "event: the first"),
    "what is no JSON, of a changeset": (
        lambda c: _sql("UPDATE data_sync_changeset SET guards = '{'"),
        "{c}, changeset",
    ),
    "the model of a kept row": (lambda c: c.kept_rows.filter(number=1).update(model="auth.user"), "{c}, kept row"),
    "a kept row": (lambda c: c.kept_rows.filter(number=1).update(values={"id": 1}, digest=""), "{c}, kept row"),
    "all kept rows": (lambda c: c.kept_rows.all().delete(), "{c}, kept row"),
    "a decision": (lambda c: c.changes.filter(number=2).update(decision="rejected"), "{c}, changeset: approval_seal"),
    "an outcome": (lambda c: c.changes.filter(number=2).update(outcome="skipped"), "{c}, changeset: outcome"),
    "a change less": (lambda c: c.changes.filter(number=2).delete(), "{c}, change 2: number"),
    "the last change less": (lambda c: c.changes.filter(number=5).delete(), "{c}, changeset: seal"),
    "changes in another order": (_changes_swapped, "{c}, change 2: content_digest"),
    "a state": (lambda c: Changeset.objects.filter(pk=c.pk).update(state="rejected"), "{c}, changeset: state"),
    "a purge that was none": (
        lambda c: Changeset.objects.filter(pk=c.pk).update(purged_at=c.created_at),
        "{c}, changeset: purged_at",
    ),
    "an actor": (lambda c: _events(c).filter(number=2).update(actor="x"), "{c}, event 2: hash"),
    "an event less": (lambda c: _events(c).filter(number=2).delete(), "{c}, event 3: number"),
    "an event less, and the chain made anew": (_cut_and_chained_anew, "{c}, event 2: mac"),
    "an event more": (_inserted, "{c}, event 6: mac"),
    "events in another order": (_swapped, "{c}, event 2: hash"),
    "the last event less": (lambda c: _events(c).filter(number=5).delete(), "{c}, mark "),
    "all events less": (lambda c: _events(c).delete(), "{c}, mark "),
    "an event's code less": (lambda c: _events(c).filter(number=5).update(mac="", mac_key=""), "{c}, event 5: mac"),
    "another chain's event": (lambda c: Event._base_manager.filter(chain=_chain(c)).update(actor="x"), "{s}, event 1"),
    "another chain less": (lambda c: Event._base_manager.filter(chain=_chain(c)).delete(), "{s}, mark 1"),
    "a mark less": (_ledger_cut, "mark 4"),
    "a mark of another event": (lambda c: ChainMark._base_manager.filter(sequence=1).update(hash="x"), "{s}, mark 1"),
    "a mark's code less": (
        lambda c: ChainMark._base_manager.filter(sequence=4).update(mac="", mac_key=""),
        ", mark 4",
    ),
}


def test_whatever_is_altered_in_the_database_is_named(environments: Environments, settings: Any) -> None:
    settings.DATA_SYNC_AUDIT_KEYS = KEYS
    limits.change_limits(environments.source, ACTOR, {limits.ALL: {"rows": 7}})
    changeset = mixed(environments)
    environments.accept_all(changeset)
    remarks.comment(changeset.changes.first(), "Why?", ACTOR)
    changeset = environments.apply(environments.approve(changeset))
    names = {"c": f"changeset:{changeset.pk}", "s": _chain(changeset)}
    missed = {}
    for what, (alter, expected) in ALTERATIONS.items():
        with transaction.atomic():
            alter(changeset)
            found = where(verify.verify_all(ACTOR))
            transaction.set_rollback(True)
        if not any(place.find(expected.format(**names)) >= 0 for place in found):
            missed[what] = found
    assert missed == {}
    assert where(verify.verify_all(ACTOR)) == []


def test_a_chain_made_anew_without_keys_contradicts_the_ledger(environments: Environments) -> None:
    environments.add(Tag, name="new", only="source")
    changeset = environments.changeset()
    environments.accept_all(changeset)
    _events(changeset).filter(number=2).update(actor="x")
    _chain_anew(f"changeset:{changeset.pk}")
    assert where(verify.verify_all(ACTOR)) == [f"changeset:{changeset.pk}, mark {ChainMark.objects.count()}"]


def _without_codes(changeset: Changeset) -> None:
    """Somebody without the key makes one chain, and all of the ledger, anew."""
    _events(changeset).filter(number=2).update(actor="x")
    Event._base_manager.update(mac="", mac_key="")
    ChainMark._base_manager.all().delete()
    for chain in sorted(set(Event.objects.values_list("chain", flat=True))):
        _chain_anew(chain)
        ledger.mark(chain)


def test_that_all_codes_are_gone_is_said(environments: Environments, settings: Any) -> None:
    settings.DATA_SYNC_AUDIT_KEYS = KEYS
    environments.add(Tag, name="new", only="source")
    changeset = environments.changeset()
    environments.accept_all(changeset)
    settings.DATA_SYNC_AUDIT_KEYS = []
    _without_codes(changeset)
    assert verify.verify_all(ACTOR).unchecked == []
    settings.DATA_SYNC_AUDIT_KEYS = KEYS
    [words] = verify.verify_all(ACTOR).unchecked
    assert "The ledger has no code under a key" in words
    assert verify.verify_changeset(changeset, ACTOR).unchecked == [UNCODED]
    assert UNCODED in verdict("".join(map(bytes.decode, document_lines(changeset))).encode()).unchecked


@pytest.mark.parametrize("key", ["", "0123456789abcdef"])
def test_the_ledger_vouches_for_no_event_that_was_made_without_a_key(settings: Any, key: str) -> None:
    audit.record_of("source:6", ACTOR, "source_added", {})
    settings.DATA_SYNC_AUDIT_KEYS = KEYS
    audit.record_of("source:7", ACTOR, "source_added", {})
    event = Event(chain="source:8", number=1, at=timezone.now(), actor="x", action="source_added", detail={})
    event.hash, event.mac_key, event.mac = event_hash("", audit.event_content(event)), key, key
    event.save()
    assert ledger.complete(10) == 0
    assert "not in the ledger yet" in " ".join(verify.verify_all(ACTOR).unchecked)


def test_an_end_that_was_noted_elsewhere_tells_that_the_ledger_was_cut(environments: Environments) -> None:
    noted = verify.verify_all(ACTOR).head
    assert noted is not None
    limits.change_limits(environments.source, ACTOR, {limits.ALL: {"rows": 7}})
    assert where(verify.verify_all(ACTOR, noted=noted)) == []
    last = verify.verify_all(ACTOR).head
    assert last is not None and last.sequence == noted.sequence + 1
    ChainMark._base_manager.filter(sequence=last.sequence).delete()
    Event._base_manager.filter(pk=Event._base_manager.latest("pk").pk).delete()
    assert where(verify.verify_all(ACTOR)) == []  # Both ends at once: nothing here tells.
    assert where(verify.verify_all(ACTOR, noted=last)) == [f"mark {last.sequence}"]


def test_keys_are_rotated_and_what_is_under_a_key_that_is_gone_is_not_checked(
    environments: Environments, settings: Any
) -> None:
    settings.DATA_SYNC_AUDIT_KEYS = KEYS[:1]
    environments.add(Tag, name="new", only="source")
    changeset = environments.changeset()
    settings.DATA_SYNC_AUDIT_KEYS = KEYS[::-1]
    environments.accept_all(changeset)
    found = verify.verify_all(ACTOR)
    assert (where(found), found.unchecked) == ([], [])
    assert len({*Event.objects.exclude(mac_key="").values_list("mac_key", flat=True)}) == 2
    settings.DATA_SYNC_AUDIT_KEYS = KEYS[1:]
    found = verify.verify_all(ACTOR)
    assert where(found) == []
    old = Event.objects.get(chain=f"changeset:{changeset.pk}", number=1).mac_key
    assert found.unchecked == [
        f"The codes of the events cannot be checked: key {old} is not in DATA_SYNC_AUDIT_KEYS.",
        f"The codes of the ledger cannot be checked: key {old} is not in DATA_SYNC_AUDIT_KEYS.",
    ]


def test_what_was_altered_before_it_was_marked_is_not_marked(settings: Any) -> None:
    settings.DATA_SYNC_AUDIT_KEYS = KEYS
    audit.record_of("source:7", ACTOR, "source_added", {})
    before = ChainMark.objects.count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "mark_later", lambda chain: None)  # As if the process was killed after its commit.
        audit.record_of("source:7", ACTOR, "source_changed", {"after": 1})
    assert "not in the ledger yet" in " ".join(verify.verify_all(ACTOR).unchecked)
    Event._base_manager.filter(chain="source:7", number=2).update(actor="x")
    assert ledger.complete(10) == 0
    Event._base_manager.filter(chain="source:7", number=2).update(actor=ACTOR.label)
    assert ledger.complete(10) == 1
    assert ChainMark.objects.count() == before + 1
    assert verify.verify_all(ACTOR).unchecked == []


def test_files_in_place_and_staged_are_read_again(environments: Environments) -> None:
    another_file(environments)
    changeset = environments.sync()
    found = verify.verify_all(ACTOR, read_files=True)
    assert (where(found), found.files) == ([], 1)
    copy = Copy.objects.get()
    path = environments.media / copy.thumbnail.name
    path.write_bytes(b"GREEN")
    assert where(verify.verify_all(ACTOR, read_files=True)) == [f"changeset:{changeset.pk}, change 1: thumbnail"]
    path.unlink()
    [fault] = verify.verify_all(ACTOR, read_files=True).faults
    assert "is gone" in fault.message
    # Another file since: that is no changeset's.
    Copy.objects.update(thumbnail="another.png")
    assert verify.verify_all(ACTOR, read_files=True).files == 0


def another_file(environments: Environments) -> None:
    add, put = environments.add, environments.put
    french = add(Language, country=add(Country, code="FR"), code="fr")
    put("green.png", b"green", only="source")
    add(Copy, language=french, key="title", value="E", default="", thumbnail=("green.png", put("red.png", b"red")))


def test_a_staged_file_that_was_altered_is_found(environments: Environments) -> None:
    another_file(environments)
    changeset = environments.changeset()
    assert verify.verify_all(ACTOR, [changeset.pk], read_files=True).files == 1
    [path] = [path for path in environments.staging.rglob("*") if path.is_file()]
    path.write_bytes(b"x")
    [fault] = verify.verify_all(ACTOR, [changeset.pk], read_files=True).faults
    assert "was altered in the staging storage" in fault.message
    assert path.exists()


def test_nothing_that_removes_users_sources_and_pulls_takes_events_along(environments: Environments) -> None:
    environments.add(Tag, name="new", only="source")
    ada = get_user_model().objects.create_superuser("ada")
    changeset = environments.changeset()
    remarks.comment(changeset.changes.first(), "Why?", actors.of_user(ada))
    before = list(Event.objects.order_by("pk").values_list("chain", "number", "actor", "hash"))
    ada.delete()
    sources.remove_source(environments.source, ACTOR)
    changeset.refresh_from_db()
    changeset.pull.delete()
    after = list(Event.objects.order_by("pk").values_list("chain", "number", "actor", "hash"))
    assert after[: len(before)] == before
    assert [row[1] for row in after[len(before) :]] == [3]  # That the source was removed.
    assert where(verify.verify_all(ACTOR)) == []


def test_verifying_takes_a_permission(environments: Environments) -> None:
    environments.add(Tag, name="new", only="source")
    changeset = environments.changeset()
    nobody = actors.of_user(get_user_model().objects.create(username="ada"))
    for step in (
        lambda: verify.verify_all(nobody),
        lambda: verify.verify_changeset(changeset, nobody),
        lambda: verify.verify_file(io.BytesIO(b""), nobody),
    ):
        with pytest.raises(NotPermitted, match="view_changeset"):
            step()
    with pytest.raises(InvalidInput, match="no changeset 4711"):
        verify.verify_all(ACTOR, [4711])


def test_an_export_is_an_event_in_it(environments: Environments) -> None:
    environments.add(Tag, name="new", only="source")
    ada = actors.of_user(get_user_model().objects.create_superuser("ada"))
    found = json.loads("".join(changeset_document(environments.changeset(), ada)))
    last = found["events"][-1]
    assert (last["action"], last["actor"]) == ("exported", "ada")
    assert last["detail"] == {"format": "data-sync-changeset", "format_version": "1.0"}
    assert found["changeset"]["chain"] == {"length": last["number"], "head": last["hash"]}


def test_every_pull_has_events_however_it_ends(environments: Environments) -> None:
    ada = get_user_model().objects.create_superuser("ada")

    def told(pull_id: int) -> list[tuple[str, str, Any]]:
        events = Event.objects.filter(chain=f"pull:{pull_id}").order_by("number")
        return [
            (event.action, event.actor, event.detail.get("changeset", event.detail.get("reason"))) for event in events
        ]

    nothing = environments.pull("testapp.tag")
    assert told(nothing.pk) == [("requested", "command line", None), ("done", "command line", None)]
    environments.add(Tag, name="new", only="source")
    changeset = environments.changeset("testapp.tag")
    assert told(changeset.pull_id) == [("requested", "command line", None), ("done", "command line", changeset.pk)]
    asked = pull.request_pull(environments.source, ["testapp.tag"], actors.of_user(ada))
    pull.cancel_pull(asked.pk, ACTOR)
    assert told(asked.pk) == [("requested", "ada", None), ("cancelled", "command line", None)]
    type(environments.source).objects.update(url="http://127.0.0.1:9/api")
    failed = pull.run_pull(pull.request_pull(environments.source, ["testapp.tag"], actors.of_user(ada)).pk)
    assert told(failed.pk) == [("requested", "ada", None), ("failed", "ada", failed.error)]
    assert where(verify.verify_all(ACTOR)) == []
