"""Applying writes exactly what was approved, or nothing; whatever happens meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import Error, InterfaceError, OperationalError, connection, connections
from django.db.models.signals import ModelSignal, post_delete, post_save, pre_delete, pre_save

from data_sync.core.errors import InvalidTransition, NotPermitted
from data_sync.core.states import ChangesetState, Decision, Operation, Outcome
from data_sync.models import Change, Changeset, Event
from data_sync.orm.write import Writer
from data_sync.services import actors, apply, review
from data_sync.services.leases import Lease
from data_sync.services.seals import current_content_seal
from tests import leasing
from tests.environments import Environments, child
from tests.testapp.models import (
    Article,
    Category,
    Comment,
    Document,
    Folder,
    Page,
    Player,
    Product,
    Shelf,
    Slot,
    Stock,
    Tag,
    Team,
    Visit,
    Vote,
)


@contextmanager
def receiving(signal: ModelSignal, model: type, receiver: Callable[..., None]) -> Iterator[None]:
    signal.connect(receiver, sender=model)
    try:
        yield
    finally:
        signal.disconnect(receiver, sender=model)


def outcomes(changeset: Changeset) -> dict[str, str]:
    return dict(changeset.changes.values_list("key_text", "outcome"))


def applied_events(changeset: Changeset) -> int:
    return Event.objects.filter(changeset=changeset, action="applied").count()


@pytest.fixture
def three(environments: Environments) -> Environments:
    """One product to update, one to create, one to delete."""
    environments.add(Product, sku="update", name=("new", "old"))
    environments.add(Product, sku="create", name="new", only="source")
    environments.add(Product, sku="delete", name="old", only="default")
    return environments


# Exactly what was accepted


@pytest.mark.parametrize("kept", ["update", "create", "delete"])
def test_only_the_accepted_changes_are_written(three: Environments, kept: str) -> None:
    changeset = three.changeset()
    rejected = changeset.changes.get(key_text=kept)
    three.accept(changeset, *changeset.changes.exclude(pk=rejected.pk).values_list("number", flat=True))
    review.decide(
        changeset.pk, review.Selection(numbers=(rejected.number,)), Decision.REJECTED, three.actor, revision=None
    )
    three.apply(three.approve(changeset))
    expected = {"update": "new", "create": "new"}
    expected |= {"update": {"update": "old"}, "create": {}, "delete": {"delete": "old"}}[kept]
    if kept == "create":
        del expected["create"]
    assert dict(Product.objects.values_list("sku", "name")) == expected
    assert outcomes(changeset)[kept] == Outcome.SKIPPED


def test_rows_and_columns_that_no_change_names_stay_as_they_are(three: Environments) -> None:
    three.add(Product, sku="local", name="same")
    with receiving(pre_save, Product, lambda instance, **_: touched.append(instance.sku)):
        touched: list[str] = []
        three.sync()
    assert set(touched) == {"update", "create"}
    three.assert_equal()


def test_a_second_delivery_does_no_harm(three: Environments) -> None:
    changeset = three.sync()
    with three.untouched():
        assert apply.run_apply(changeset.pk).state == ChangesetState.APPLIED
    assert applied_events(changeset) == 1


def test_applying_needs_approval_and_a_request(three: Environments) -> None:
    changeset = three.changeset()
    three.accept_all(changeset)
    with three.untouched():
        with pytest.raises(InvalidTransition, match="is pending and cannot be applied"):
            apply.request_apply(changeset.pk, three.actor)
        with pytest.raises(InvalidTransition, match="is pending and cannot be applied"):
            apply.run_apply(changeset.pk)
        three.approve(changeset)
        with pytest.raises(InvalidTransition):
            apply.run_apply(changeset.pk)


@pytest.mark.parametrize("lacking", ["data_sync.apply_changeset", "testapp.add_product", "testapp.delete_product"])
def test_applying_needs_the_permissions_of_what_it_does(three: Environments, lacking: str) -> None:
    changeset = three.approved()
    user = get_user_model().objects.create(username="ada")
    needed = ["apply_changeset", "add_product", "change_product", "delete_product"]
    user.user_permissions.set(Permission.objects.filter(codename__in=needed).exclude(codename=lacking.split(".")[1]))
    with three.untouched(), pytest.raises(NotPermitted, match=lacking):
        apply.request_apply(changeset.pk, actors.of_user(user))


# Order and relations


def test_trees_cycles_and_links_are_written_whatever_their_order(environments: Environments) -> None:
    add = environments.add
    parent = None
    for name in ("zz", "aa", "mm", "bb"):
        parent = add(Category, slug=name, parent=parent and parent[0], only="source")[0:1]
    root = Folder.objects.using("source").create(path="/", parent_id=9_000_001, pk=9_000_001)
    Folder.objects.create(path="/", parent_id=9_000_001, pk=9_000_001)
    inner = Folder.objects.using("source").create(path="/z/", parent=root)
    Folder.objects.using("source").create(path="/z/a/", parent=inner)
    for name, other in (("reds", 1), ("blues", 2)):
        team = Team.objects.using("source").create(name=name)
        team.captain = Player.objects.using("source").create(team=team, number=other)
        team.save()
    one, two = (Product.objects.using("source").create(sku=sku, name=sku) for sku in ("one", "two"))
    one.related.set([one, two])
    two.related.set([one])
    one.tags.set([Tag.objects.using("source").create(name="tag")])
    environments.sync()
    environments.assert_equal()
    assert Team.objects.get(name="blues").captain.number == 2


def test_a_whole_tree_and_a_cycle_are_deleted(environments: Environments) -> None:
    parent = Category.objects.create(slug="a")
    for name in ("c", "b", "d"):
        parent = Category.objects.create(slug=name, parent=parent)
    environments.add(Category, slug="stays")
    team = Team.objects.create(name="reds")
    Team.objects.update(captain=Player.objects.create(team=team, number=1))
    environments.add(Team, name="blues")
    environments.add(Player, team=(Team.objects.using("source").get(), Team.objects.get(name="blues")), number=7)
    environments.sync()
    assert list(Category.objects.values_list("slug", flat=True)) == ["stays"]
    environments.assert_equal()


def test_a_moved_row_is_not_taken_along_by_the_delete_of_its_old_parent(environments: Environments) -> None:
    old = environments.add(Category, slug="old", title="going", only="default")
    new = environments.add(Category, slug="new", title="coming", only="source")
    environments.add(Category, slug="child", parent=(new[0], old[1]))
    changeset = environments.changeset()
    delete = changeset.changes.get(operation=Operation.DELETE)
    update = changeset.changes.get(operation=Operation.UPDATE)
    assert (delete.cascades, delete.requires) == ([], [update.number])
    environments.accept(changeset, delete.number)
    with pytest.raises(InvalidTransition, match=f"requires #{update.number}"):
        environments.approve(changeset)
    environments.accept_all(changeset)
    environments.apply(environments.approve(changeset))
    environments.assert_equal()


def test_unique_values_that_rows_exchange_are_written(environments: Environments) -> None:
    environments.add(Slot, name="a", place=(2, 1))
    environments.add(Slot, name="b", place=(1, 2))
    environments.sync()
    environments.assert_equal()
    assert dict(Slot.objects.values_list("name", "place")) == {"a": 2, "b": 1}


def test_a_row_that_a_default_manager_hides_is_found_and_updated(environments: Environments) -> None:
    environments.add(Article, slug="hidden", title=("new", "old"), deleted=True)
    environments.add(Article, slug="back", title="x", deleted=(False, True))
    environments.sync()
    environments.assert_equal()
    assert Article._base_manager.count() == 2


def test_more_rows_than_one_batch(environments: Environments) -> None:
    for alias, rows in (("source", range(210)), ("default", range(210, 420))):
        Tag.objects.using(alias).bulk_create(Tag(name=f"tag-{number}") for number in rows)
    Product.objects.using("source").bulk_create(Product(sku=f"p{n}", name="new") for n in range(210))
    Product.objects.bulk_create(Product(sku=f"p{n}", name="old") for n in range(210))
    changeset = environments.sync()
    assert (changeset.creates, changeset.updates, changeset.deletes) == (210, 210, 210)
    environments.assert_equal()


# Stale: the rows are no longer what the reviewer saw


def change_update() -> None:
    Product.objects.filter(sku="update").update(name="edited meanwhile")


def change_delete() -> None:
    Product.objects.filter(sku="delete").update(name="edited meanwhile")


def remove_update() -> None:
    Product.objects.get(sku="update").delete()


def insert_create() -> None:
    Product.objects.create(sku="create", name="added meanwhile")


def link_update() -> None:
    Product.objects.get(sku="update").tags.add(Tag.objects.create(name="meanwhile"))


@pytest.mark.parametrize(
    ("meddle", "key"),
    [
        (change_update, "update"),
        (change_delete, "delete"),
        (remove_update, "update"),
        (insert_create, "create"),
        (link_update, "update"),
    ],
)
def test_an_edit_between_approval_and_apply_makes_it_stale(
    three: Environments, meddle: Callable[[], None], key: str
) -> None:
    changeset = three.approved("testapp.product")
    meddle()
    with three.untouched():
        applied = three.apply(changeset)
    assert applied.state == ChangesetState.STALE
    assert key in applied.state_reason
    found = outcomes(changeset)
    assert found.pop(key) == Outcome.STALE
    assert set(found.values()) == {Outcome.SKIPPED}
    assert applied_events(changeset) == 0
    with three.untouched(), pytest.raises(InvalidTransition, match="is stale"):
        apply.run_apply(changeset.pk)


def test_an_edit_of_a_file_in_place_makes_it_stale(environments: Environments) -> None:
    name = environments.put("covers/a.png", b"old")
    environments.add(Document, name="a", title=("new", "old"), cover=name)
    changeset = environments.approved()
    environments.put(name, b"swapped meanwhile", only="default")
    with environments.untouched():
        assert environments.apply(changeset).state == ChangesetState.STALE
    assert "cover" in changeset.changes.get().outcome_reason


def test_after_stale_a_new_pull_finishes_the_work(three: Environments) -> None:
    changeset = three.approved()
    change_update()
    three.apply(changeset)
    three.sync()
    three.assert_equal()


def test_a_row_of_an_unregistered_model_is_left_out_of_staleness(three: Environments) -> None:
    changeset = three.approved()
    Comment.objects.create(product=Product.objects.get(sku="update"))
    assert three.apply(changeset).state == ChangesetState.APPLIED
    assert Comment.objects.exists()


# Cascades: only what was shown


def test_a_delete_takes_along_what_was_shown(three: Environments) -> None:
    product = Product.objects.get(sku="delete")
    Vote.objects.create(comment=Comment.objects.create(product=product, text="Lovely"))
    visit = Visit.objects.create(product=product)
    shelf = Shelf.objects.create()
    shelf.products.add(product)
    three.sync()
    visit.refresh_from_db()
    assert (Comment.objects.count(), Vote.objects.count(), visit.product) == (0, 0, None)
    assert list(shelf.products.all()) == []
    three.assert_equal()


@pytest.mark.parametrize(
    "add_child",
    [
        lambda product: Comment.objects.create(product=product),
        lambda product: Visit.objects.create(product=product),
        lambda product: Vote.objects.create(comment=Comment.objects.get(text="shown")),
        lambda product: Stock.objects.create(product=product),
        lambda product: Shelf.objects.create().products.add(product),
    ],
    ids=["cascade", "set null", "cascade of a cascade", "protect", "link"],
)
def test_a_child_added_after_approval_makes_the_delete_stale(
    three: Environments, add_child: Callable[[Product], Any]
) -> None:
    product = Product.objects.get(sku="delete")
    Comment.objects.create(product=product, text="shown")
    changeset = three.approved()
    add_child(product)
    with three.untouched():
        applied = three.apply(changeset)
    assert applied.state == ChangesetState.STALE, applied.state_reason
    assert outcomes(changeset)["delete"] == Outcome.STALE


def test_a_child_that_is_gone_meanwhile_is_no_obstacle(three: Environments) -> None:
    comment = Comment.objects.create(product=Product.objects.get(sku="delete"))
    changeset = three.approved()
    comment.delete()
    assert three.apply(changeset).state == ChangesetState.APPLIED


def test_deletes_send_the_signals_of_everything_that_goes(three: Environments) -> None:
    Comment.objects.create(product=Product.objects.get(sku="delete"), text="Lovely")
    gone: list[str] = []
    with (
        receiving(post_delete, Product, lambda instance, **_: gone.append(instance.sku)),
        receiving(post_delete, Comment, lambda instance, **_: gone.append(instance.text)),
    ):
        three.sync()
    assert sorted(gone) == ["Lovely", "delete"]


# Tampering


@pytest.mark.parametrize(
    "values",
    [
        {"after": {"name": "forged"}},
        {"key": ["another"]},
        {"decision": Decision.REJECTED.value},
        {"cascades": [{"model": "testapp.comment", "pk": "1", "label": "", "effect": "delete", "column": "x"}]},
        {"before_digest": "sha256:" + "0" * 64},
        {"after_digest": "sha256:" + "0" * 64},
        {"local_pk": "1000"},
        {"files": {"a": {"before": None, "after": None}}},
    ],
    ids=lambda values: next(iter(values)),
)
def test_a_change_that_was_altered_after_approval_is_refused(three: Environments, values: dict[str, Any]) -> None:
    changeset = three.approved()
    changed = changeset.changes.get(key_text="update")
    if "after" in values:
        values = {"after": {**changed.after, **values["after"]}}
    Change.objects.filter(pk=changed.pk).update(**values)
    with three.untouched():
        applied = three.apply(changeset)
    assert applied.state in (ChangesetState.FAILED, ChangesetState.STALE), applied.state_reason


@pytest.mark.usefixtures("rows_that_fit")
def test_a_problem_that_is_hidden_before_it_is_accepted_is_refused(three: Environments) -> None:
    """`has_problems` is outside of the seals; the problems themselves are not. An approval would notice, too."""
    changeset = three.changeset()
    problems = [{"code": "x", "field": "name", "message": "It does not fit."}]
    changeset.changes.filter(key_text="update").update(problems=problems, has_problems=False)
    three.accept_all(changeset)
    Changeset.objects.filter(pk=changeset.pk).update(content_seal=current_content_seal(changeset))
    with three.untouched():
        applied = three.apply(three.approve(changeset))
    assert applied.state == ChangesetState.FAILED and "It does not fit." in applied.state_reason


def test_a_removed_change_is_noticed(three: Environments) -> None:
    changeset = three.approved()
    changeset.changes.get(key_text="delete").delete()
    with three.untouched():
        assert three.apply(changeset).state == ChangesetState.FAILED


# Failures


def test_the_failing_row_is_named_among_a_batch(three: Environments) -> None:
    for number in range(30):
        three.add(Product, sku=f"p{number}", name="x", only="source")

    def refuse(instance: Product, **_: Any) -> None:
        if instance.sku == "p17":
            instance.name = None

    changeset = three.approved()
    with receiving(pre_save, Product, refuse), three.untouched():
        applied = three.apply(changeset)
    assert applied.state == ChangesetState.FAILED
    assert '["p17"]' in applied.state_reason
    failed = [key for key, outcome in outcomes(changeset).items() if outcome == Outcome.FAILED]
    assert failed == ["p17"]
    assert "p17" in changeset.changes.get(key_text="p17").outcome_reason


def test_a_value_that_reads_back_differently_fails_and_nothing_is_written(three: Environments) -> None:
    changeset = three.approved()

    def interfere(instance: Product, **_: Any) -> None:
        if instance.sku == "create":
            Product.objects.filter(pk=instance.pk).update(name="interfered")

    with receiving(post_save, Product, interfere), three.untouched():
        applied = three.apply(changeset)
    assert applied.state == ChangesetState.FAILED
    assert outcomes(changeset)["create"] == Outcome.FAILED
    assert "name" in changeset.changes.get(key_text="create").outcome_reason


def test_a_receiver_that_raises_fails_it_and_nothing_is_written(three: Environments) -> None:
    changeset = three.approved()

    def explode(**_: Any) -> None:
        raise RuntimeError("the receiver's own trouble")

    with receiving(post_save, Product, explode), three.untouched():
        changeset = three.apply(changeset)
    assert changeset.state == ChangesetState.FAILED
    assert "RuntimeError" in changeset.state_reason
    assert "the receiver's own trouble" not in changeset.state_reason, "it may quote what any model redacts"


@pytest.mark.parametrize("signal", [pre_save, pre_delete], ids=["write", "delete"])
@pytest.mark.parametrize(
    "error",
    [OperationalError(1205, "Lock wait timeout exceeded"), InterfaceError("already closed")],
    ids=["busy", "lost"],
)
def test_a_database_that_is_busy_or_lost_is_no_rows_fault(
    three: Environments, signal: ModelSignal, error: Error
) -> None:
    """Nor is the same asked of every row again."""
    changeset = three.approved()
    asked: list[int] = []

    def wait(**_: Any) -> None:
        asked.append(1)
        raise error

    with receiving(signal, Product, wait), three.untouched():
        failed = three.apply(changeset)
    assert failed.state == ChangesetState.FAILED
    assert str(error) in failed.state_reason and "approve and apply again" in failed.state_reason
    assert Outcome.FAILED not in outcomes(changeset).values()
    assert len(asked) == 1
    assert three.apply(three.approve(changeset)).state == ChangesetState.APPLIED


def test_a_row_that_would_land_outside_of_the_scope_here_fails(environments: Environments) -> None:
    environments.add(Page, slug="new", only="source")
    changeset = environments.approved()

    def hide(instance: Page, **_: Any) -> None:
        Page.objects.filter(pk=instance.pk).update(published=False)

    with receiving(post_save, Page, hide), environments.untouched():
        assert environments.apply(changeset).state == ChangesetState.FAILED


def test_a_failed_changeset_can_be_approved_again(three: Environments) -> None:
    changeset = three.approved()

    def explode(**_: Any) -> None:
        raise ValueError("not now")

    with receiving(pre_save, Product, explode):
        three.apply(changeset)
    changeset.refresh_from_db()
    assert changeset.state == ChangesetState.FAILED
    three.accept_all(changeset)
    assert three.apply(three.approve(changeset)).state == ChangesetState.APPLIED
    three.assert_equal()


def test_a_model_that_is_no_longer_registered_fails_by_name(
    three: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    from data_sync import registry

    changeset = three.approved()
    rest = {
        model: what
        for model, what in registry._registrations.items()
        if model.__name__ not in ("Product", "Price", "Detail")
    }
    monkeypatch.setattr(registry, "_registrations", rest)
    with three.untouched():
        applied = three.apply(changeset)
    assert applied.state == ChangesetState.FAILED
    assert "testapp.product is no longer registered" in applied.state_reason


# Two workers


def test_two_applies_at_once_have_one_effect(three: Environments) -> None:
    changeset = three.approved()
    apply.request_apply(changeset.pk, three.actor)
    barrier = threading.Barrier(6)
    ends: list[object] = []

    def work() -> None:
        barrier.wait()
        try:
            ends.append(apply.run_apply(changeset.pk).state)
        except InvalidTransition as error:
            ends.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) == 6
    assert ChangesetState.APPLIED in ends
    assert all(end == ChangesetState.APPLIED or isinstance(end, InvalidTransition) for end in ends)
    assert applied_events(changeset) == 1
    three.assert_equal()


def test_a_worker_whose_lease_lasts_holds_others_off(three: Environments) -> None:
    changeset = three.approved()
    apply.request_apply(changeset.pk, three.actor)
    assert apply._claim(changeset.pk)
    with three.untouched(), pytest.raises(InvalidTransition, match="being applied by another worker"):
        apply.run_apply(changeset.pk)


def test_a_worker_whose_lease_was_taken_over_writes_nothing(
    three: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker slept past its lease before its transaction; the second has finished by then."""
    changeset = three.approved()
    apply.request_apply(changeset.pk, three.actor)
    promote = apply.promote_files
    calls: list[int] = []

    def sleep_past_the_lease(changeset: Changeset, lease: Lease) -> Any:
        calls.append(1)
        if len(calls) == 1:
            leasing.expire()
            assert apply.run_apply(changeset.pk).state == ChangesetState.APPLIED
            Product.objects.filter(sku="update").update(name="edited afterwards")
        return promote(changeset, lease)

    monkeypatch.setattr(apply, "promote_files", sleep_past_the_lease)
    with pytest.raises(Exception, match="taken over"):
        apply.run_apply(changeset.pk)
    assert applied_events(changeset) == 1
    assert Product.objects.get(sku="update").name == "edited afterwards"
    changeset.refresh_from_db()
    assert (changeset.state, changeset.attempt) == (ChangesetState.APPLIED, 2)


@pytest.mark.parametrize("moment", ["claimed", "first", "middle", "delete", "history"])
def test_a_killed_worker_leaves_everything_as_it_was_and_the_next_one_finishes(
    environments: Environments, moment: str, tmp_path: Path
) -> None:
    for number in range(4):
        environments.add(Product, sku=f"new-{number}", name="x", only="source")
    environments.add(Product, sku="changed", name=("new", "old"))
    environments.add(Product, sku="gone", name="x", only="default")
    document = environments.put("documents/a.txt", b"a new file", only="source")
    environments.add(Document, name="a", attachment=document, only="source")
    Comment.objects.create(product=Product.objects.get(sku="gone"))
    changeset = environments.approved()
    apply.request_apply(changeset.pk, environments.actor)
    before = environments.tables()

    worker = child("tests.applying", str(changeset.pk), moment, DATA_SYNC_TEST_CHILD="default", TMPDIR=str(tmp_path))
    assert worker.stdout is not None
    assert worker.stdout.readline() == "paused\n"
    worker.kill()
    worker.wait()
    assert not list(tmp_path.iterdir())
    worker.stdin.close()
    worker.stdout.close()

    connection.close()
    assert environments.tables() == before
    with pytest.raises(InvalidTransition, match="being applied by another worker"):
        apply.run_apply(changeset.pk)
    leasing.expire()
    assert apply.run_apply(changeset.pk).state == ChangesetState.APPLIED
    assert applied_events(changeset) == 1
    environments.assert_equal()
    used = {Document.objects.get().attachment.name}
    assert set(environments.files()) == used, "the killed worker's copy of the file is gone"


def test_constraints_that_only_fail_at_commit_fail_the_apply(
    three: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite and PostgreSQL check foreign keys when the transaction ends: also then, nothing stays."""
    if not connection.features.supports_forward_references:
        pytest.skip("this database checks at once")
    changeset = three.approved()
    write = Writer.write

    def dangle(self: Writer, *arguments: Any) -> None:
        write(self, *arguments)
        Comment.objects.create(product_id=424242)

    monkeypatch.setattr(Writer, "write", dangle)
    with three.untouched():
        assert three.apply(changeset).state == ChangesetState.FAILED
    assert applied_events(changeset) == 0
