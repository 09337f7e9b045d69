"""The audit trail: events, inserted and never altered."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .changesets import Changeset
from .fields import CanonicalJSONField


class Event(models.Model):
    """One thing that happened to a changeset. `hash` covers the event and the hash before it."""

    changeset = models.ForeignKey(Changeset, on_delete=models.PROTECT, related_name="events")
    number = models.PositiveIntegerField()
    at = models.DateTimeField(_("at"))
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor = models.CharField(_("who"), max_length=200)
    action = models.CharField(_("action"), max_length=40)
    detail = CanonicalJSONField(default=dict)
    previous = models.CharField(max_length=80, blank=True)
    hash = models.CharField(max_length=80)

    class Meta:
        db_table = "data_sync_event"
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ("changeset", "number")
        default_permissions = ("view",)
        constraints = (models.UniqueConstraint(fields=("changeset", "number"), name="data_sync_event_number"),)

    def __str__(self) -> str:
        return f"{self.number} {self.action}"
