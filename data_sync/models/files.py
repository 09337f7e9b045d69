"""Known files: the checksum cache (also the index behind `files/<sha256>`), and promoted files."""

from __future__ import annotations

from django.db import models

from .changesets import Changeset


class FileChecksum(models.Model):
    """SHA-256 of one stored file as it was at `modified_at`; valid while name, size and time agree."""

    model = models.CharField(max_length=201)
    field = models.CharField(max_length=100)
    name_hash = models.CharField(max_length=64)
    name = models.TextField()
    size = models.PositiveBigIntegerField()
    modified_at = models.CharField(max_length=40)
    checksum = models.CharField(max_length=64, db_index=True)

    class Meta:
        db_table = "data_sync_file_checksum"
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=("model", "field", "name_hash"), name="data_sync_file_checksum_name"),
        )

    def __str__(self) -> str:
        return self.name


class PromotedFile(models.Model):
    """A staged file copied to its field's storage by one apply attempt, before the transaction.

    Written before the copy, so that a killed attempt leaves a trace to clean up by. Of a purged changeset also, as
    attempt 0, a file that its apply has replaced or deleted the row of, until that is removed.
    """

    changeset = models.ForeignKey(Changeset, on_delete=models.CASCADE, related_name="promoted_files")
    attempt = models.PositiveIntegerField()
    change_number = models.PositiveIntegerField()
    model = models.CharField(max_length=201)
    field = models.CharField(max_length=100)
    name = models.TextField()

    class Meta:
        db_table = "data_sync_promoted_file"
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
