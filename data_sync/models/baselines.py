"""What both sides last agreed on."""

from __future__ import annotations

from django.db import models

from .exchange import DataSource


class Baseline(models.Model):
    """The digests of a model's rows when this environment and a source last agreed on each, packed.

    One row holds the rows of a range of key hashes: those whose first byte is at least `first`, up to the
    `first` of the next. `entries` are 24 bytes a row, ordered: key hash (8) and digest (first 16 bytes).
    Only digests made of the same fields compare: `shape` is the digest of what was compared.
    """

    source = models.ForeignKey(DataSource, on_delete=models.CASCADE, related_name="+")
    model = models.CharField(max_length=201)
    first = models.PositiveSmallIntegerField()
    shape = models.CharField(max_length=80)
    entries = models.BinaryField()

    class Meta:
        db_table = "data_sync_baseline"
        verbose_name = "baseline"
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=("source", "model", "first"), name="data_sync_baseline_range"),)

    def __str__(self) -> str:
        return f"{self.model} from {self.first}"
