"""What deletes took away, kept for a revert: shown nowhere, exported nowhere."""

from __future__ import annotations

from django.db import models

from .changesets import Changeset
from .fields import CanonicalJSONField


class KeptRow(models.Model):
    """A row that a delete has removed or altered, as it was: the deleted row itself, and each that it took along.

    `number` counts within the changeset, in the order in which rows went; `change_number` is the delete's. `model` is
    the label of any model, also of the row of a many-to-many table. `effect` is "root" for the deleted row, else that
    of `Change.cascades`; `column` is the reference by which it was reached, "" for a root. `values` has the row's
    concrete columns by name (of one that stayed, just `column`), null for a sensitive row and once purged; `digest` is
    the `hmac-sha256:<hex>` of all that, under the `leaf_key` of the changeset.
    """

    changeset = models.ForeignKey(Changeset, on_delete=models.PROTECT, related_name="kept_rows")
    number = models.PositiveIntegerField()
    change_number = models.PositiveIntegerField()
    model = models.CharField(max_length=201)
    row_pk = CanonicalJSONField()
    effect = models.CharField(max_length=8)
    column = models.CharField(max_length=100, blank=True)
    values = CanonicalJSONField(null=True)
    digest = models.CharField(max_length=80, blank=True)

    class Meta:
        db_table = "data_sync_kept_row"
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=("changeset", "number"), name="data_sync_kept_row_number"),)
        indexes = (models.Index(fields=("changeset", "change_number"), name="data_sync_kept_row_change"),)

    def __str__(self) -> str:
        return f"{self.changeset_id} #{self.change_number} {self.model}"
