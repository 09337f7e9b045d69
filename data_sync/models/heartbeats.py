"""Signs of life of workers, and how far they are.

Rows of their own, because that of the work itself is locked for as long as an apply's transaction is open. Only
a worker's second connection writes them while it works.
"""

from __future__ import annotations

from django.db import models

from .changesets import Changeset
from .pulls import DataPull


class Heartbeat(models.Model):
    """`done` of `total` steps of a phase; `total` 0 where it is not known."""

    lease_expires_at = models.DateTimeField()
    phase = models.CharField(max_length=16, blank=True)
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(default=0)

    class Meta:
        abstract = True
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.pk} · {self.phase} {self.done}/{self.total}"


class PullHeartbeat(Heartbeat):
    work = models.OneToOneField(DataPull, primary_key=True, on_delete=models.CASCADE, related_name="heartbeat")

    class Meta(Heartbeat.Meta):
        db_table = "data_sync_pull_heartbeat"


class ApplyHeartbeat(Heartbeat):
    work = models.OneToOneField(Changeset, primary_key=True, on_delete=models.CASCADE, related_name="heartbeat")

    class Meta(Heartbeat.Meta):
        db_table = "data_sync_apply_heartbeat"
