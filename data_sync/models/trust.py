"""Which sources are trusted: whose changes may be applied without review, and within which limits."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .exchange import DataSource


class Trust(models.Model):
    """What one source is trusted with. The row stays when trust ends, with the reason.

    `model_labels` and `operations` say what may be applied, and are never empty. `unattended`: each complete pull is
    applied by itself; else only one that was asked for with "Pull and apply". `user`, `actor` and `unrestricted` are
    who switched it on, with whose permissions changes are applied.
    """

    source = models.OneToOneField(DataSource, primary_key=True, on_delete=models.CASCADE, related_name="trust")
    is_on = models.BooleanField(default=False)
    unattended = models.BooleanField(default=False)
    model_labels = models.JSONField(default=list)
    operations = models.JSONField(default=list)
    max_changes = models.PositiveIntegerField(default=0)
    max_deletes = models.PositiveIntegerField(default=0)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor = models.CharField(max_length=200)
    unrestricted = models.BooleanField(
        default=False,
        help_text=_(
            "Whether the command line switched it on, which needs no permissions. A missing user says nothing."
        ),
    )
    since = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=200, blank=True)
    end_reason = models.TextField(blank=True)

    class Meta:
        db_table = "data_sync_trust"
        verbose_name = "trust"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.source_id}: {'on' if self.is_on else 'off'}"
