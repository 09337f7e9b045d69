"""What a trusted source sends is applied without review: once, all or nothing, and only where nothing is in the way."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import DataError, connection, connections
from django.utils import timezone

from data_sync import tasks
from data_sync.core.errors import Busy, InvalidInput, NotPermitted
from data_sync.core.states import AutoApply, ChangesetState, Decision, Operation, PullState
from data_sync.models import Baseline, Changeset, DataPull, DataSource, Event, Trust
from data_sync.orm.resolution import schemas
from data_sync.services import apply, approval, auto_apply, leases, pull, remarks, review, sources, trust
from data_sync.services.actors import Actor, of_user
from data_sync.tasks import Delivery
from tests import leasing
from tests.environments import Environments, child, decide
from tests.testapp.models import Category, Comment, Country, Customer, Everything, Language, Product, Stock, Tag, Term

NEEDED = (*(name.partition(".")[2] for name in trust.NEEDED), "pull_datasource")
EVERYTHING = tuple(operation.value for operation in Operation)


class Scene:
    """Both sides agree on a few rows, and the source is trusted with everything."""

    def __init__(self, environments: Environments) -> None:
        self.environments = environments
        self.source = environments.source
        for model, values in (
            (Term, {"word": "boots", "meaning": "of 2025"}),
            (Tag, {"name": "old"}),
            (Tag, {"name": "kept"}),
            (Category, {"slug": "shoes", "title": "For winter"}),
            (Category, {"slug": "kept", "title": "Kept"}),
            (Country, {"code": "FR"}),
            (Everything, {"name": "agreed"}),
            (Product, {"sku": "a", "name": "A"}),
            (Product, {"sku": "b", "name": "B"}),
        ):
            environments.add(model, **values)
        assert environments.pull().state == PullState.DONE and not Changeset.objects.exists()
        self.trust()

    def trust(self, actor: Actor | None = None, **values: Any) -> Trust:
        limits = {"models": list(schemas()), "operations": EVERYTHING, "max_deletes": 100, "unattended": True}
        return trust.switch_on(self.source, actor or self.environments.actor, **{**limits, **values})

    def there(self, meaning: str = "of 2026") -> None:
        """Somebody edits a row at the source."""
        Term.objects.using("source").filter(word="boots").update(meaning=meaning)

    def pull(self, *labels: str, actor: Actor | None = None, wants_apply: bool = False) -> Changeset:
        """Asks for a pull, and has all done that follows from it."""
        asked = pull.request_pull(self.source, labels, actor or self.environments.actor, wants_apply=wants_apply)
        tasks.submit("pull", asked.pk)
        asked.refresh_from_db()
        assert asked.state == PullState.DONE, asked.error
        return Changeset.objects.get(pull=asked)

    def stored(self, *labels: str) -> Changeset:
        """A pull whose worker ended before the changeset was looked at."""
        return self.environments.changeset(*labels)


@pytest.fixture
def scene(environments: Environments) -> Scene:
    return Scene(environments)


def person(name: str = "anna", *permissions: str) -> Actor:
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions or (*NEEDED, "change_term")))
    return of_user(User.objects.get(pk=user.pk))


def age(**values: float) -> None:
    """So long ago trust was given, and then pulled."""
    created_at = timezone.now() - timedelta(**values)
    Trust.objects.update(since=created_at - timedelta(hours=1))
    Changeset.objects.update(created_at=created_at)


def codes(changeset: Changeset) -> list[str]:
    changeset.refresh_from_db()
    return [reason["code"] for reason in changeset.auto_reasons]


def actions(changeset: Changeset) -> list[str]:
    return list(changeset.events.order_by("number").values_list("action", flat=True))


def meaning() -> str:
    return Term.objects.get(word="boots").meaning


def assert_left(changeset: Changeset, *expected: str) -> None:
    """It waits as any other does, with no decision but those that people made, and nothing of it is written."""
    assert codes(changeset) == list(expected), changeset.auto_reasons
    assert changeset.auto_state == AutoApply.LEFT
    assert changeset.state in (ChangesetState.PENDING, ChangesetState.BLOCKED)
    assert (changeset.apply_requested_at, changeset.approval_seal) == (None, "")
    assert "somebody_at_it" in expected or not changeset.changes.filter(decision="accepted").exists()
    assert [action for action in actions(changeset) if action in ("auto_approved", "approved", "applied")] == []
    [event] = changeset.events.filter(action="left_for_review")
    assert (event.actor, event.detail["reasons"]) == ("auto-apply", changeset.auto_reasons)


# Applied


def test_what_fits_is_applied_and_the_trail_says_on_whose_authority(scene: Scene) -> None:
    anna = person()
    scene.trust(anna)
    scene.there()
    changeset = scene.pull()
    assert (changeset.state, changeset.auto_state) == (ChangesetState.APPLIED, AutoApply.APPROVED), (
        changeset.state_reason
    )
    assert meaning() == "of 2026"
    assert actions(changeset) == ["pulled", "auto_approved", "approved", "applied"]
    for action in ("auto_approved", "approved", "applied"):
        event = changeset.events.get(action=action)
        assert (event.actor, event.user) == ("auto-apply for anna", anna.user)
    assert changeset.events.get(action="auto_approved").detail["policy"]["unattended"] is True
    assert changeset.events.get(action="approved").detail["approval_seal"] == changeset.approval_seal != ""
    assert (changeset.approved_by, changeset.actor) == (anna.user, "command line")


def test_every_operation_that_is_allowed_is_applied(scene: Scene) -> None:
    scene.there()
    Tag.objects.using("source").filter(name="old").delete()
    Tag.objects.using("source").create(name="new")
    Category.objects.using("source").filter(slug="shoes").update(slug="boots")
    changeset = scene.pull()
    assert changeset.state == ChangesetState.APPLIED, changeset.auto_reasons
    scene.environments.assert_equal()


def test_without_trust_in_unattended_pulls_only_one_click_applies(scene: Scene) -> None:
    scene.trust(unattended=False)
    scene.there()
    changeset = scene.pull()
    assert (changeset.state, changeset.auto_state, meaning()) == (ChangesetState.PENDING, "", "of 2025")
    assert actions(changeset) == ["pulled"]
    assert scene.pull(wants_apply=True).state == ChangesetState.APPLIED
    assert meaning() == "of 2026"


def test_one_click_takes_the_permissions_to_pull_and_to_apply(scene: Scene) -> None:
    for number, permission in enumerate(("pull_datasource", "apply_changeset")):
        with pytest.raises(NotPermitted):
            pull.request_pull(scene.source, [], person(f"p{number}", permission), wants_apply=True)
    assert DataPull.objects.filter(wants_apply=True).count() == 0


def test_who_clicks_needs_no_permission_on_the_models_as_who_trusts_has_it(scene: Scene) -> None:
    scene.trust(person(), unattended=False)
    scene.there()
    changeset = scene.pull(actor=person("clicker", "pull_datasource", "apply_changeset"), wants_apply=True)
    assert (changeset.state, changeset.actor) == (ChangesetState.APPLIED, "clicker")
    assert changeset.apply_actor == "auto-apply for anna"


def test_nothing_differs_and_nothing_is_looked_at(scene: Scene) -> None:
    asked = pull.request_pull(scene.source, [], scene.environments.actor)
    tasks.submit("pull", asked.pk)
    assert not Changeset.objects.exists()


# Left for review: each reason as it comes about


def missing_reference(scene: Scene) -> Changeset:
    there = Country.objects.using("source").create(code="JP")
    Language.objects.using("source").create(country=there, code="ja")
    return scene.pull("testapp.language")


def problem(scene: Scene) -> Changeset:
    Stock.objects.create(product=Product.objects.get(sku="a"))
    Product.objects.using("source").filter(sku="a").delete()
    return scene.pull()


def cascade(scene: Scene) -> Changeset:
    Comment.objects.create(product=Product.objects.get(sku="a"))
    Product.objects.using("source").filter(sku="a").delete()
    return scene.pull()


def warning(scene: Scene) -> Changeset:
    Everything.objects.using("source").update(email="no address")
    return scene.pull()


def conflict(scene: Scene) -> Changeset:
    scene.there()
    Term.objects.update(meaning="edited here")
    return scene.pull()


def unknown_base(scene: Scene) -> Changeset:
    scene.environments.add(Term, word="socks", meaning=("there", "here"))
    return scene.pull()


def first_pull(scene: Scene) -> Changeset:
    Language.objects.using("source").create(country=Country.objects.using("source").get(), code="fr")
    return scene.pull()


def empty_side(scene: Scene) -> Changeset:
    Category.objects.using("source").all().delete()
    return scene.pull()


def model(scene: Scene) -> Changeset:
    scene.trust(models=["testapp.tag"])
    scene.there()
    return scene.pull()


def operation(scene: Scene) -> Changeset:
    scene.trust(operations=["create"])
    scene.there()
    return scene.pull()


def renames(scene: Scene) -> Changeset:
    scene.trust(operations=["create", "update", "delete"])
    Category.objects.using("source").filter(slug="shoes").update(slug="boots")
    return scene.pull()


def too_many(scene: Scene) -> Changeset:
    scene.trust(max_changes=2)
    for name in ("x", "y", "z"):
        Tag.objects.using("source").create(name=name)
    return scene.pull()


def too_many_deletes(scene: Scene) -> Changeset:
    for number in range(10):
        scene.environments.add(Term, word=f"w{number}")
        scene.environments.add(Tag, name=f"t{number}")
    scene.environments.pull()
    scene.trust(max_deletes=1)
    Tag.objects.using("source").filter(name__in=["t1", "t2"]).delete()
    return scene.pull()


def rejected_before(scene: Scene) -> Changeset:
    """Somebody has said no to a change, and applied the rest: the next pull finds it again."""
    scene.trust(unattended=False)
    scene.there()
    Tag.objects.using("source").create(name="new")
    changeset = scene.pull()
    no, yes = changeset.changes.get(operation="update"), changeset.changes.get(operation="create")
    decide(scene.environments, no, "rejected")
    decide(scene.environments, yes)
    scene.environments.apply(scene.environments.approve(changeset))
    scene.trust()
    return scene.pull()


def rejected_as_a_whole(scene: Scene) -> Changeset:
    scene.trust(unattended=False)
    scene.there()
    approval.reject(scene.pull().pk, scene.environments.actor)
    scene.trust()
    return scene.pull()


def rejected_a_field(scene: Scene) -> Changeset:
    """Somebody has said no to a value; the row comes again with that and another."""
    scene.trust(unattended=False)
    there = Everything.objects.using("source")
    there.update(char="rejected")
    approval.reject(scene.pull().pk, scene.environments.actor)
    there.update(text="harmless")
    scene.trust()
    return scene.pull()


def rejected_a_rename(scene: Scene) -> Changeset:
    """Somebody has said no to a rename; a pull that finds none proposes it as a delete and a create."""
    scene.trust(unattended=False)
    Category.objects.using("source").filter(slug="shoes").update(slug="boots")
    changeset = scene.pull()
    assert changeset.renames == 1
    approval.reject(changeset.pk, scene.environments.actor)
    scene.trust()
    asked = pull.request_pull(scene.source, [], scene.environments.actor, find_renames=False)
    tasks.submit("pull", asked.pk)
    again = Changeset.objects.get(pull=asked)
    assert (again.deletes, again.creates) == (1, 1)
    return again


def rejected_with_redacted_fields(scene: Scene) -> Changeset:
    """Digests of these are made with another key in each changeset."""
    scene.environments.add(Customer, name="ada", account="agreed")
    scene.environments.pull()
    scene.trust(unattended=False)
    Customer.objects.using("source").update(account="evil")
    approval.reject(scene.pull().pk, scene.environments.actor, "never")
    scene.trust()
    return scene.pull()


def kept_before(scene: Scene) -> Changeset:
    """Somebody has kept one field of an update as it is here, and applied the rest: the next pull finds it again."""
    scene.trust(unattended=False)
    Everything.objects.using("source").update(char="theirs", text="theirs")
    changeset = scene.pull()
    numbers = review.Selection(numbers=(changeset.changes.get().number,))
    review.decide(
        changeset.pk, numbers, Decision.ACCEPTED, scene.environments.actor, revision=changeset.revision, keep=["char"]
    )
    scene.environments.apply(scene.environments.approve(changeset))
    assert Everything.objects.get().text == "theirs"
    scene.trust()
    return scene.pull()


def links_without_deletes(scene: Scene) -> Changeset:
    """Somebody takes a tag off a product at the source."""
    for alias in ("source", "default"):
        Product.objects.using(alias).get(sku="a").tags.set(Tag.objects.using(alias).all())
    scene.environments.pull()
    scene.trust(operations=["create", "update"])
    Product.objects.using("source").get(sku="a").tags.clear()
    return scene.pull()


def too_many_links(scene: Scene) -> Changeset:
    for alias in ("source", "default"):
        Product.objects.using(alias).get(sku="a").tags.set(Tag.objects.using(alias).all())
    scene.environments.pull()
    scene.trust(max_deletes=1)
    Product.objects.using("source").get(sku="a").tags.clear()
    return scene.pull()


def another_shape(scene: Scene) -> Changeset:
    """A row was deleted here on purpose, and a release has altered what is compared of its model."""
    Tag.objects.filter(name="kept").delete()
    Baseline.objects.update(shape="of the release before")
    return scene.pull()


def after_another_shape(scene: Scene) -> Changeset:
    """The same at the next pull: the one before has agreed on the rows that are equal."""
    assert codes(another_shape(scene)) == ["first_pull"]
    return scene.pull()


def an_old_objection(scene: Scene) -> Changeset:
    """Somebody has said stop, and nobody has ended that in however many pulls."""
    scene.trust(unattended=False)
    scene.there("v0")
    remarks.comment(scene.pull().changes.get(), "STOP: legal says no", scene.environments.actor)
    Changeset.objects.bulk_create(
        Changeset(source=scene.source, source_name="Staging", state="superseded", model_labels=list(schemas()))
        for _ in range(30)
    )
    scene.there("v1")
    scene.trust()
    return scene.pull()


def decided(scene: Scene) -> Changeset:
    """Somebody is at the changeset that this one supersedes, at another change of it."""
    scene.trust(unattended=False)
    Tag.objects.using("source").create(name="new")
    changeset = scene.pull()
    decide(scene.environments, changeset.changes.get())
    Tag.objects.using("source").filter(name="new").update(name="newer")
    scene.trust()
    return scene.pull()


def commented(scene: Scene) -> Changeset:
    scene.trust(unattended=False)
    scene.there()
    remarks.comment(scene.pull().changes.get(), "Is this right?", scene.environments.actor)
    scene.there("of 2027")
    scene.trust()
    return scene.pull()


def still_open(scene: Scene) -> Changeset:
    """Somebody is at a changeset that this one does not supersede, as it covers fewer models."""
    scene.trust(unattended=False)
    scene.there()
    decide(scene.environments, scene.pull().changes.get())
    scene.trust()
    return scene.pull("testapp.term")


WAYS: list[tuple[Callable[[Scene], Changeset], list[str]]] = [
    (model, ["model"]),
    (operation, ["operation"]),
    (renames, ["operation"]),
    (too_many, ["too_many_changes"]),
    (too_many_deletes, ["too_many_deletes"]),
    (first_pull, ["first_pull"]),
    (conflict, ["conflict"]),
    (unknown_base, ["unknown_base"]),
    (missing_reference, ["first_pull", "missing_reference"]),
    (problem, ["problem"]),
    (warning, ["warning"]),
    (rejected_before, ["rejected_before"]),
    (rejected_as_a_whole, ["rejected_before"]),
    (rejected_a_field, ["rejected_before"]),
    (rejected_a_rename, ["rejected_before"]),
    (rejected_with_redacted_fields, ["rejected_before"]),
    (kept_before, ["kept_before"]),
    (links_without_deletes, ["operation"]),
    (too_many_links, ["too_many_deletes"]),
    (another_shape, ["first_pull"]),
    (after_another_shape, ["first_pull"]),
    (an_old_objection, ["somebody_at_it"]),
    (decided, ["somebody_at_it"]),
    (commented, ["somebody_at_it"]),
    (still_open, ["somebody_at_it"]),
]


@pytest.mark.parametrize(("way", "expected"), WAYS, ids=[way.__name__ for way, _ in WAYS])
def test_it_is_left_for_review_and_says_why(
    scene: Scene, way: Callable[[Scene], Changeset], expected: list[str]
) -> None:
    assert_left(way(scene), *expected)


@pytest.mark.parametrize(("way", "code"), [(cascade, "cascade"), (empty_side, "guard")])
def test_what_a_guard_may_hold_too_is_left_for_review(
    scene: Scene, way: Callable[[Scene], Changeset], code: str
) -> None:
    changeset = way(scene)
    assert code in codes(changeset)
    assert_left(changeset, *codes(changeset))


def test_schema_differences_are_left_for_review(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Everything._meta.get_field("char"), "max_length", 7)
    Everything.objects.using("source").update(integer=7)
    changeset = scene.pull("testapp.everything")
    assert changeset.state == ChangesetState.BLOCKED
    assert set(codes(changeset)) == {"guard", "schema_difference", "first_pull", "unknown_base"}


def test_the_very_first_pull_of_a_source_waits_even_where_it_only_adds(environments: Environments) -> None:
    environments.add(Tag, name="new", only="source")
    trust.switch_on(environments.source, environments.actor, models=["testapp.tag"], unattended=True)
    asked = pull.request_pull(environments.source, [], environments.actor)
    tasks.submit("pull", asked.pk)
    assert_left(Changeset.objects.get(), "first_pull")


def test_the_switch_in_the_settings_stops_all(scene: Scene, settings: Any) -> None:
    settings.DATA_SYNC_AUTO_APPLY = "False"
    scene.there()
    assert_left(scene.pull(), "switched_off")
    assert trust.standing(scene.source) is not None, "it is the switch of an operator, not the end of trust"


def test_one_click_at_a_source_that_is_not_trusted(scene: Scene) -> None:
    trust.switch_off(scene.source, scene.environments.actor)
    scene.there()
    assert_left(scene.pull(wants_apply=True), "not_trusted")


@pytest.mark.parametrize(
    ("requester", "truster", "reasons"),
    [("anna", "anna", ["four_eyes"]), ("anna", "", ["four_eyes"]), ("ben", "anna", []), ("", "anna", [])],
)
def test_with_four_eyes_who_trusts_is_the_second_person(
    scene: Scene, settings: Any, requester: str, truster: str, reasons: list[str]
) -> None:
    settings.DATA_SYNC_FOUR_EYES = True
    people = {name: person(name) for name in ("anna", "ben")} | {"": scene.environments.actor}
    scene.trust(people[truster])
    scene.there()
    changeset = scene.pull(actor=people[requester])
    assert codes(changeset) == reasons
    assert (changeset.state == ChangesetState.APPLIED) == (not reasons)


# Authority


@pytest.mark.parametrize("loss", ["gone", "inactive", "stripped"])
def test_who_lost_the_right_to_trust_ends_it(scene: Scene, loss: str) -> None:
    anna = person()
    scene.trust(anna)
    match loss:
        case "gone":
            anna.user.delete()
        case "inactive":
            User.objects.update(is_active=False)
        case "stripped":
            anna.user.user_permissions.remove(Permission.objects.get(codename="approve_changeset"))
    scene.there()
    changeset = scene.pull()
    assert_left(changeset, "authority")
    ended = Trust.objects.get()
    assert not ended.is_on and ended.end_reason == changeset.auto_reasons[0]["message"]
    assert Event.objects.filter(chain=f"source:{scene.source.pk}", action="trust_ended").count() == 1


def test_a_permission_on_the_model_is_asked_for_and_its_lack_ends_nothing(scene: Scene) -> None:
    scene.trust(person("anna", *NEEDED))
    scene.there()
    changeset = scene.pull()
    assert_left(changeset, "refused")
    assert "testapp.change_term" in changeset.auto_reasons[0]["message"]
    assert trust.standing(scene.source) is not None


def test_what_an_approval_refuses_is_left_with_its_words(scene: Scene) -> None:
    scene.there()
    changeset = scene.stored()
    Term.objects.update(meaning="edited after the pull")
    tasks.submit("apply", changeset.pk)
    assert_left(changeset, "refused")
    assert "edited" in changeset.auto_reasons[0]["message"] or "changed here" in changeset.auto_reasons[0]["message"]
    assert changeset.revision == 0, "nothing is left of the attempt"


def test_an_apply_that_would_not_fit_into_its_task_is_left(scene: Scene) -> None:
    scene.there()
    changeset = scene.stored()
    assert not auto_apply.settle(changeset.pk, deadline=0.001)
    assert_left(changeset, "refused")


# Once


def test_one_attempt_also_after_a_failure(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.there()
    with monkeypatch.context() as broken:
        broken.setattr(apply, "write_rows", lambda *_: 1 / 0)
        changeset = scene.pull()
    assert (changeset.state, changeset.auto_state) == (ChangesetState.FAILED, AutoApply.APPROVED)
    for _ in range(2):
        tasks.run("apply", changeset.pk)
        leasing.expire()
        Changeset.objects.update(created_at=timezone.now() - timedelta(days=1))
        tasks.sweep()
    changeset.refresh_from_db()
    assert (changeset.state, meaning()) == (ChangesetState.FAILED, "of 2025")
    assert actions(changeset).count("auto_approved") == 1


def test_the_next_pull_has_an_attempt_of_its_own_and_takes_no_decision_over(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was accepted without review is no opinion of anybody."""
    scene.there()
    with monkeypatch.context() as broken:
        broken.setattr(apply, "write_rows", lambda *_: 1 / 0)
        scene.pull()
    trust.switch_off(scene.source, scene.environments.actor)
    unseen = scene.pull()
    assert unseen.changes.get().decision == "undecided"
    scene.trust()
    changeset = scene.pull()
    assert changeset.state == ChangesetState.APPLIED, changeset.auto_reasons


def test_what_was_left_is_not_tried_again(scene: Scene) -> None:
    scene.trust(models=["testapp.tag"])
    scene.there()
    changeset = scene.pull()
    scene.trust()
    tasks.run("apply", changeset.pk)
    Changeset.objects.update(created_at=timezone.now() - timedelta(days=1))
    assert tasks.sweep() == []
    assert_left(changeset, "model")


def test_somebody_who_is_quicker_decides(scene: Scene) -> None:
    scene.there()
    changeset = scene.stored()
    decide(scene.environments, changeset.changes.get())
    tasks.run("apply", changeset.pk)
    assert codes(changeset) == ["somebody_at_it"]
    assert meaning() == "of 2025"


@pytest.mark.parametrize(
    ("stop", "code"), [("trust", "not_trusted"), ("switch", "switched_off"), ("limits", "limits_changed")]
)
def test_an_approved_one_is_taken_back_where_nobody_may_rely_on_it_any_more(
    scene: Scene, settings: Any, stop: str, code: str
) -> None:
    """As where trust ended between its approval and the worker that applies it."""
    scene.there()
    changeset = scene.stored()
    assert auto_apply.settle(changeset.pk)
    match stop:
        case "trust":
            trust.switch_off(scene.source, scene.environments.actor)
        case "switch":
            settings.DATA_SYNC_AUTO_APPLY = False
        case "limits":
            scene.trust(models=["testapp.tag"])
    tasks.run("apply", changeset.pk)
    changeset.refresh_from_db()
    assert (changeset.state, changeset.auto_state) == (ChangesetState.PENDING, AutoApply.LEFT)
    assert codes(changeset) == [code]
    assert changeset.changes.get().decision == "undecided"
    assert meaning() == "of 2025"


def test_an_approval_of_a_person_is_nothing_that_is_taken_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.there()
    with monkeypatch.context() as broken:
        broken.setattr(apply, "write_rows", lambda *_: 1 / 0)
        changeset = scene.pull()
    trust.switch_off(scene.source, scene.environments.actor)
    changeset.refresh_from_db()
    apply.approve_and_request(changeset.pk, scene.environments.actor, revision=changeset.revision)
    tasks.run("apply", changeset.pk)
    changeset.refresh_from_db()
    assert changeset.state == ChangesetState.APPLIED


def test_what_nobody_foresaw_is_left_for_review(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(*_: Any) -> None:
        raise RuntimeError("pass-word")

    monkeypatch.setattr(auto_apply, "facts_of", explode)
    scene.there()
    changeset = scene.pull()
    assert_left(changeset, "failed")
    stored = str(list(changeset.events.values_list("detail", flat=True)))
    assert "pass-word" not in stored
    found = re.search(r"Unexpected RuntimeError; .* under the reference (\w+)", stored)
    assert found is not None and f"(reference {found[1]})" in caplog.text


def test_an_error_that_nobody_foresaw_quotes_nothing_that_is_redacted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    value = "SECRET-" + "4711"
    scene.environments.add(Customer, name="ada", account=(value, "agreed"))

    def fail(*_: Any) -> None:
        raise ValueError(f"cannot decode {value!r}")

    monkeypatch.setattr(auto_apply, "facts_of", fail)
    changeset = scene.pull()
    assert_left(changeset, "failed")
    assert "ValueError" in changeset.auto_reasons[0]["message"]
    told = [*Event.objects.values_list("detail", flat=True), changeset.auto_reasons, caplog.text]
    assert value not in str(told)


@pytest.mark.parametrize("error", [DataError("value out of range"), InvalidInput("the registration is broken")])
def test_what_fails_time_after_time_is_left_for_review(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A database's refusal may be over the next time, and may last."""

    def fail(*_: Any) -> None:
        raise error

    scene.there()
    changeset = scene.stored()
    monkeypatch.setattr(auto_apply, "facts_of", fail)
    age(hours=3)
    for _ in range(leases.MAX_LOSSES):
        assert [swept.delivery for swept in tasks.sweep()] == [Delivery.FAILED]
        changeset.refresh_from_db()
        assert changeset.auto_state == AutoApply.DUE
    assert [swept.delivery for swept in tasks.sweep()] == [Delivery.DONE]
    assert_left(changeset, "failed")
    assert "time after time" in changeset.auto_reasons[0]["message"]
    assert tasks.sweep() == []


def test_whoever_is_busy_is_waited_for_however_often_it_takes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.there()
    changeset = scene.stored()
    Changeset.objects.update(submissions=50)

    def fail(*_: Any) -> None:
        raise Busy("Somebody is at it.", 1)

    monkeypatch.setattr(auto_apply, "facts_of", fail)
    with pytest.raises(Busy):
        auto_apply.settle(changeset.pk)
    assert auto_apply.is_due(Changeset.objects.get())


# Crashes and company


def test_a_worker_that_is_killed_before_it_decides_is_followed_by_the_sweeper(scene: Scene) -> None:
    scene.there()
    changeset = scene.stored()
    assert changeset.auto_state == AutoApply.DUE
    assert tasks.sweep() == [], "whoever asked has a minute to have it done"
    age(minutes=2)
    assert [(swept.kind, swept.pk, swept.delivery) for swept in tasks.sweep()] == [
        ("apply", changeset.pk, Delivery.DONE)
    ]
    changeset.refresh_from_db()
    assert (changeset.state, meaning()) == (ChangesetState.APPLIED, "of 2026")
    assert actions(changeset) == ["pulled", "auto_approved", "approved", "applied"]


@pytest.mark.parametrize("moment", ["taken", "accepted", "approved", "decided"])
def test_a_worker_that_is_killed_while_it_decides_leaves_it_as_it_was_or_decided(scene: Scene, moment: str) -> None:
    scene.there()
    changeset = scene.stored()
    worker = child("tests.settling", str(changeset.pk), moment, DATA_SYNC_TEST_CHILD="default")
    worker.communicate(timeout=60)
    assert worker.returncode == -signal.SIGKILL
    connection.close()
    changeset.refresh_from_db()
    expected = AutoApply.APPROVED if moment == "decided" else AutoApply.DUE
    assert (changeset.auto_state, changeset.revision) == (expected, int(moment == "decided"))
    age(hours=3)
    past = timezone.now() - timedelta(hours=3)
    Changeset.objects.filter(apply_requested_at__isnull=False).update(apply_requested_at=past)
    tasks.sweep()
    changeset.refresh_from_db()
    assert (changeset.state, meaning()) == (ChangesetState.APPLIED, "of 2026")
    assert actions(changeset) == ["pulled", "auto_approved", "approved", "applied"]


def test_of_workers_at_once_one_decides_and_one_applies(scene: Scene) -> None:
    scene.there()
    changeset = scene.stored()

    def work(_: int) -> None:
        try:
            tasks.run("apply", changeset.pk)
        except Busy:
            pass
        except Exception as error:
            if "locked" not in str(error):
                raise
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    tasks.run("apply", changeset.pk)
    changeset.refresh_from_db()
    assert changeset.state == ChangesetState.APPLIED
    assert actions(changeset) == ["pulled", "auto_approved", "approved", "applied"]


def test_another_url_meanwhile_is_the_end_of_it(scene: Scene) -> None:
    scene.there()
    changeset = scene.stored()
    sources.change_source(scene.source, scene.environments.actor, key="env:ANOTHER")
    tasks.run("apply", changeset.pk)
    assert_left(changeset, "not_trusted")


def test_a_source_that_is_removed_meanwhile_is_not_trusted(scene: Scene) -> None:
    scene.there()
    changeset = scene.stored()
    sources.remove_source(DataSource.objects.get(), scene.environments.actor)
    tasks.run("apply", changeset.pk)
    assert_left(changeset, "not_trusted")
