"""The audit trail: chains of events, inserted and never altered."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from data_sync.core.errors import DataSyncError

from .changesets import Changeset
from .fields import CanonicalJSONField


def _refuse(what: str) -> NoReturn:
    raise DataSyncError(f"Events are only ever added: an audit trail whose events can be {what} proves nothing.")


Row = TypeVar("Row", bound=models.Model)


class InsertOnlyQuerySet(models.QuerySet[Row]):
    """Refuses what would alter or remove rows. Raw SQL is not held up; the chain of hashes shows it.

    Not the base manager's: Django takes that one to set `user` to null where a user is deleted.
    """

    def update(self, **values: Any) -> NoReturn:
        _refuse("altered")

    def delete(self) -> NoReturn:
        _refuse("removed")

    def bulk_create(self, objs: Any, *args: Any, **options: Any) -> Any:
        if options.get("update_conflicts"):
            _refuse("altered")
        return super().bulk_create(objs, *args, **options)

    update.alters_data = True  # type: ignore[attr-defined]
    delete.alters_data = True  # type: ignore[attr-defined]


class InsertOnly(models.Model):
    """A model whose rows are inserted, and neither altered nor removed."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            _refuse("altered")
        # Otherwise an instance made with an existing primary key would be an UPDATE.
        super().save(*args, **(options | {"force_insert": True}))

    def delete(self, *args: Any, **options: Any) -> NoReturn:
        _refuse("removed")


class Event(InsertOnly):
    """One thing that happened. `hash` covers the event and the hash before it in the same chain.

    `chain` names what it happened to: "changeset:42", "source:7", "key:3". It is text, so that the trail outlives what
    it tells of. Events are inserted, by `services.audit`; whoever tries to alter or remove one meets a `DataSyncError`.

    `mac` is a code over chain, number and hash under the key whose id is `mac_key`; both are "" where the settings had
    no key.
    """

    chain = models.CharField(max_length=300)
    changeset = models.ForeignKey(Changeset, null=True, on_delete=models.PROTECT, related_name="events")
    number = models.PositiveIntegerField()
    at = models.DateTimeField(_("at"))
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor = models.CharField(_("who"), max_length=200)
    action = models.CharField(_("action"), max_length=40)
    detail = CanonicalJSONField(default=dict)
    previous = models.CharField(max_length=80, blank=True)
    hash = models.CharField(max_length=80)
    mac = models.CharField(max_length=80, blank=True)
    mac_key = models.CharField(max_length=16, blank=True)

    objects = InsertOnlyQuerySet.as_manager()

    class Meta:
        db_table = "data_sync_event"
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ("chain", "number")
        default_permissions = ("view",)
        constraints = (models.UniqueConstraint(fields=("chain", "number"), name="data_sync_event_number"),)

    def __str__(self) -> str:
        return f"{self.number} {self.action}"


class ChainMark(InsertOnly):
    """An entry of the ledger, which has the heads of all chains in one order: how far a chain went at a moment.

    `digest` covers the mark and the digest before it; `mac` is a code over that. A chain that is shorter than a mark
    says has lost its end. Marks are made by `services.ledger`, after the events that they are of are committed.
    """

    sequence = models.PositiveBigIntegerField(unique=True)
    chain = models.CharField(max_length=300)
    number = models.PositiveIntegerField()
    hash = models.CharField(max_length=80)
    at = models.DateTimeField()
    previous = models.CharField(max_length=80, blank=True)
    digest = models.CharField(max_length=80)
    mac = models.CharField(max_length=80, blank=True)
    mac_key = models.CharField(max_length=16, blank=True)

    objects = InsertOnlyQuerySet.as_manager()

    class Meta:
        db_table = "data_sync_chain_mark"
        ordering = ("sequence",)
        default_permissions = ()
        indexes = (models.Index(fields=("chain", "number"), name="data_sync_chain_mark_chain"),)

    def __str__(self) -> str:
        return f"{self.sequence} {self.chain} {self.number}"
