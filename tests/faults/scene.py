"""A source and a target that differ in a little of everything, and what must hold of the target whatever happens."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connection, models
from django.utils import timezone

from data_sync import registry, tasks
from data_sync.core.seal import event_hash
from data_sync.core.states import ChangesetState, PullState
from data_sync.models import Changeset, DataPull, Event, KeptAnswer
from data_sync.services import due
from data_sync.services.audit import event_content
from data_sync.services.seals import current_approval_seal, current_content_seal
from tests import leasing
from tests.environments import Environments
from tests.testapp.models import Category, Comment, Document, Everything, Product, Shelf, Tag, Visit

LABELS = [model._meta.label_lower for model in (Tag, Product, Everything, Category, Document)]
"""What is pulled. More models would take longer and show no more."""
LARGE = "A text that takes more than a few pages of a database. " * 400
ATTACHMENT = b"A file that takes more than a few pages of a disk. " * 400


class Scene:
    """Six rows to create, two to update, one to delete, one to rename, two files; and rows that are no part of it."""

    def __init__(self, environments: Environments) -> None:
        self.environments = environments
        self._make()
        self.before = environments.tables()
        self._local_after = self._local(self.before)
        comments, visits = Comment._meta.db_table, Visit._meta.db_table
        self._local_after[comments] = [row for row in self._local_after[comments] if row[0] != self._gone.pk]
        self._local_after[visits] = [(row[0], None) for row in self._local_after[visits]]
        self._pks = dict(Product.objects.filter(sku__in=["update", "same"]).values_list("sku", "pk"))

    def _make(self) -> None:
        add, put = self.environments.add, self.environments.put
        for colour in ("red", "blue"):
            add(Tag, name=colour, only="source")
        update = add(Product, sku="update", name=("new", "old"))
        create = add(Product, sku="create", name="new", only="source")
        update[0].tags.set(Tag.objects.using("source").all())
        create[0].related.set([update[0]])
        add(Everything, name="large", text=LARGE, only="source")
        add(Category, slug=("new", "old"), title="One that is only called otherwise")
        self.replaced = put("documents/old.txt", b"the old one", only="default")
        # Two files of two pages of a disk each.
        put("documents/new.txt", b"1" + ATTACHMENT, only="source")
        put("documents/other.txt", b"2" + ATTACHMENT, only="source")
        add(Document, name="update", attachment=("documents/new.txt", self.replaced))
        add(Document, name="create", attachment="documents/other.txt", only="source")
        # Local rows, of which one goes with the row that is deleted, and one lets go of it.
        deleted = add(Product, sku="delete", name="old", only="default")[1]
        same = add(Product, sku="same", name="same")[1]
        self._gone = Comment.objects.create(product=deleted, text="goes")
        Comment.objects.create(product=same, text="stays")
        Visit.objects.create(product=deleted)
        Shelf.objects.create().products.set([same])

    def _local(self, tables: dict[str, Any]) -> dict[str, Any]:
        """Of these tables, those that are not synced."""

        def is_synced(model: type[models.Model]) -> bool:
            return registry.registration_of(model._meta.auto_created or model) is not None

        local = [model for app in ("testapp", "hard") for model in apps.get_app_config(app).get_models(True)]
        return {model._meta.db_table: tables[model._meta.db_table] for model in local if not is_synced(model)}

    def pull(self) -> Changeset:
        return self.environments.changeset(*LABELS)

    # What must hold

    def assert_untouched(self) -> None:
        """Every table is as it was before, and what is stored of the work agrees with itself."""
        assert self.environments.tables() == self.before
        self._assert_consistent()

    def assert_applied(self) -> None:
        """Every table is as it has to be afterwards, and what is stored of the work agrees with itself."""
        self.environments.assert_equal()
        assert self._local(self.environments.tables()) == self._local_after
        assert dict(Product.objects.filter(pk__in=self._pks.values()).values_list("sku", "pk")) == self._pks
        assert Changeset.objects.filter(state=ChangesetState.APPLIED).count() == 1
        self._assert_consistent()

    def _assert_consistent(self) -> None:
        for changeset in Changeset.objects.all():
            assert current_content_seal(changeset) == changeset.content_seal
            if changeset.approval_seal:
                assert current_approval_seal(changeset) == changeset.approval_seal
            state = ChangesetState(changeset.state)
            sealed = state in (ChangesetState.APPROVED, ChangesetState.APPLYING, ChangesetState.APPLIED)
            assert bool(changeset.approval_seal) or not sealed, state
            actions = [event.action for event in self._events(changeset)]
            assert actions.count("applied") == (state == ChangesetState.APPLIED), actions
            assert actions.count("pulled") == 1
            assert not sealed or actions.count("approved") >= 1
        for pull in DataPull.objects.all():
            assert (pull.state == PullState.DONE) == Changeset.objects.filter(pull=pull).exists(), pull.error
        assert self._used() <= self.environments.files().keys(), "no row names a file that is not there"

    def _events(self, changeset: Changeset) -> list[Event]:
        """In order, once it is clear that each follows the one before."""
        events = list(Event.objects.filter(changeset=changeset).order_by("number"))
        previous = ""
        for number, event in enumerate(events, 1):
            assert (event.number, event.previous) == (number, previous)
            assert event.hash == event_hash(previous, event_content(event))
            previous = event.hash
        return events

    def _used(self) -> set[str]:
        return {
            name
            for model in apps.get_models(include_auto_created=True)
            for field in model._meta.local_fields
            if isinstance(field, models.FileField)
            for name in model._base_manager.exclude(**{field.name: ""}).values_list(field.name, flat=True)
            if name
        }

    def assert_tidy(self) -> None:
        """Nothing is left of what was begun."""
        assert not DataPull.objects.filter(state__in=[one.value for one in PullState if one.is_active]).exists()
        assert not Changeset.objects.filter(state=ChangesetState.APPLYING).exists()
        assert not KeptAnswer.objects.exists(), "what the source answered is forgotten"
        assert set(self.environments.files()) == self._used() | {self.replaced}, "copies that no row names are gone"
        assert due.due(10) == []

    # The way to the end

    def finish(self, *, ask_again: bool = False) -> None:
        """As time, the sweeper and people would: until the differences of both sides are applied, once.

        `ask_again`: by somebody who asks for another pull, before the sweeper finds the one that was lost.
        """
        pass_time()
        if ask_again:
            self.pull()
        assert {swept.delivery for swept in tasks.sweep()} <= {tasks.Delivery.DONE}
        assert not DataPull.objects.filter(active_source__isnull=False).exists(), "the sweeper finds every pull"
        assert not Changeset.objects.exclude(apply_requested_at=None).filter(
            state__in=[ChangesetState.APPROVED.value, ChangesetState.APPLYING.value]
        ), "and every apply"
        changeset = self.environments.let_through(Changeset.objects.order_by("pk").last() or self.pull())
        if changeset.state == ChangesetState.PENDING:
            self.environments.accept_all(changeset)
        if changeset.state in (ChangesetState.PENDING, ChangesetState.FAILED):
            self.environments.approve(changeset)
        changeset.refresh_from_db()
        if changeset.state != ChangesetState.APPLIED:
            changeset = self.environments.apply(changeset)
        assert changeset.state == ChangesetState.APPLIED, changeset.state_reason
        self.assert_applied()
        self.assert_tidy()


def pass_time() -> None:
    """Leases end, and whoever asked for work has had the time to hand it over."""
    leasing.expire()
    ago = timezone.now() - timedelta(hours=2)
    DataPull.objects.update(created_at=ago)
    Changeset.objects.exclude(apply_requested_at=None).update(apply_requested_at=ago)
    for work in (DataPull, Changeset):
        work.objects.exclude(submitted_at=None).update(submitted_at=ago)


def make_compact() -> None:
    """Has the database's file no pages to spare, so that it is full when it must not grow."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")


def fill(folder: Path) -> Path:
    """Uses up all room of a folder's file system; gives the file to remove."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                pass
    return filler
