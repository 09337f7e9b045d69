"""One attempt to read a source and compare it with the local database."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from data_sync.core.states import PullKind, PullState

from .exchange import DataSource
from .fields import CanonicalJSONField


class DataPull(models.Model):
    """What it reads is an environment (`source`), a file (`upload`), or the inverse of a changeset (`reverts`).

    `options` are those of its kind: of a sheet `{"model", "format", "deletes"}`, of a revert `{"numbers": [int]|null}`,
    the changes to undo, null for all. `upload` is the name of the file in the staging storage, `upload_name` the one it
    came with, `upload_checksum` its `sha256:<hex>`.

    `submitted_at` is when it was last handed to a queue, `submissions` how often. `relisted` counts how often
    the source was listed again in earlier tasks, because rows were no longer as listed. `attempt` counts workers,
    `losses` those in succession that were lost at it; `token` is the present one's.
    """

    STATES = (
        (PullState.QUEUED.value, _("queued")),
        (PullState.READING.value, _("reading")),
        (PullState.COMPARING.value, _("comparing")),
        (PullState.DONE.value, _("done")),
        (PullState.FAILED.value, _("failed")),
        (PullState.CANCELLED.value, _("cancelled")),
    )

    KINDS = (
        (PullKind.SOURCE.value, _("source")),
        (PullKind.BUNDLE.value, _("bundle")),
        (PullKind.SHEET.value, _("spreadsheet")),
        (PullKind.REVERT.value, _("revert")),
    )

    kind = models.CharField(_("kind"), max_length=8, choices=KINDS, default=PullKind.SOURCE.value, editable=False)
    source = models.ForeignKey(
        DataSource, null=True, on_delete=models.SET_NULL, related_name="pulls", verbose_name=_("source")
    )
    source_name = models.CharField(_("source"), max_length=100, editable=False)
    reverts = models.ForeignKey(
        "data_sync.Changeset", null=True, on_delete=models.PROTECT, related_name="revert_pulls", editable=False
    )
    upload = models.CharField(max_length=200, blank=True, editable=False)
    upload_name = models.CharField(_("file"), max_length=200, blank=True, editable=False)
    upload_checksum = models.CharField(max_length=80, blank=True, editable=False)
    options = CanonicalJSONField(default=dict, editable=False)
    model_labels = models.JSONField(
        _("models"),
        default=list,
        blank=True,
        help_text=_("Labels to pull; empty means every model that the source offers."),
    )
    find_renames = models.BooleanField(
        _("find renames"),
        default=True,
        help_text=_("Offer a row that only its key tells from a deleted one as that row, renamed."),
    )
    wants_apply = models.BooleanField(
        default=False,
        editable=False,
        help_text=_("Whether the changeset is to be applied at once, if the source is trusted with what is in it."),
    )
    state = models.CharField(_("state"), max_length=16, choices=STATES, default=PullState.QUEUED.value, editable=False)
    active_source = models.PositiveBigIntegerField(
        null=True,
        unique=True,
        editable=False,
        help_text=_("The source's id while the pull is active, so that no source is pulled twice at once."),
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, editable=False, related_name="+"
    )
    actor = models.CharField(_("who"), max_length=200, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    submitted_at = models.DateTimeField(null=True, editable=False)
    submissions = models.PositiveIntegerField(default=0, editable=False)
    relisted = models.PositiveIntegerField(default=0, editable=False)
    attempt = models.PositiveIntegerField(default=0, editable=False)
    losses = models.PositiveIntegerField(default=0, editable=False)
    token = models.CharField(max_length=64, blank=True, editable=False)
    compared = models.PositiveBigIntegerField(_("rows compared"), default=0, editable=False)
    files_fetched = models.PositiveIntegerField(default=0, editable=False)
    error = models.TextField(_("reason"), blank=True, editable=False)
    report = CanonicalJSONField(
        default=dict, editable=False, help_text=_("Schema differences and per-model counts of this pull.")
    )

    class Meta:
        db_table = "data_sync_pull"
        verbose_name = _("data pull")
        verbose_name_plural = _("data pulls")
        ordering = ("-pk",)
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.pk} · {self.source_name}"


class KeptAnswer(models.Model):
    """A piece, compressed, of an answer of a source, kept while its pull goes on in further tasks.

    `asked` is a digest of what the source was asked for. Answers are kept whole: all their pieces, or none.
    """

    pull = models.ForeignKey(DataPull, on_delete=models.CASCADE, related_name="kept_answers")
    kind = models.CharField(max_length=16)
    asked = models.CharField(max_length=64)
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        db_table = "data_sync_kept_answer"
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=("pull", "asked", "number"), name="data_sync_kept_answer_piece"),)

    def __str__(self) -> str:
        return f"{self.pull_id} · {self.kind} {self.number}"
