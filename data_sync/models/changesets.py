"""The stored result of a pull: a changeset, and its changes, one row each.

A change's content never alters once stored; decisions and outcomes do, through services only.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from data_sync.core.states import AutoApply, ChangesetState, Decision, Operation, Outcome, PullKind, RenameChoice

from .exchange import DataSource
from .fields import CanonicalJSONField
from .pulls import DataPull


class Changeset(models.Model):
    """`pk` is the number people know it by. `content_seal` is fixed at creation.

    `kind` is that of its pull. A revert is of `reverts`; what it has undone there, `Change.reverted_by` says. Once
    `purged_at` is set, values are gone and digests stay.

    `submitted_at` is when its apply was last handed to a queue, `submissions` how often. `attempt` counts workers,
    `losses` those in succession that were lost at it; `token` is the present one's.

    `auto_state` says whether it was to be applied by itself, as its source is trusted, and what came of that;
    `auto_revision` is the revision that the acceptance of all its changes made then.
    """

    STATES = (
        (ChangesetState.PENDING.value, _("pending")),
        (ChangesetState.BLOCKED.value, _("blocked")),
        (ChangesetState.APPROVED.value, _("approved")),
        (ChangesetState.APPLYING.value, _("applying")),
        (ChangesetState.APPLIED.value, _("applied")),
        (ChangesetState.STALE.value, _("stale")),
        (ChangesetState.FAILED.value, _("failed")),
        (ChangesetState.REJECTED.value, _("rejected")),
        (ChangesetState.SUPERSEDED.value, _("superseded")),
        (ChangesetState.REVERTED.value, _("reverted")),
    )

    AUTO_STATES = (
        (AutoApply.DUE.value, _("being looked at")),
        (AutoApply.APPROVED.value, _("approved by itself")),
        (AutoApply.LEFT.value, _("left for review")),
    )

    pull = models.OneToOneField(
        DataPull, null=True, on_delete=models.SET_NULL, related_name="changeset", editable=False
    )
    kind = models.CharField(
        _("kind"), max_length=8, choices=DataPull.KINDS, default=PullKind.SOURCE.value, editable=False
    )
    reverts = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="reverting", editable=False)
    source = models.ForeignKey(
        DataSource, null=True, on_delete=models.SET_NULL, related_name="changesets", editable=False
    )
    source_name = models.CharField(_("source"), max_length=100, editable=False)
    model_labels = models.JSONField(_("models compared"), default=list, editable=False)
    state = models.CharField(_("state"), max_length=16, choices=STATES, editable=False)
    state_reason = models.TextField(_("reason"), blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, editable=False, related_name="+"
    )
    actor = models.CharField(_("who"), max_length=200, editable=False)
    compared = models.PositiveBigIntegerField(_("rows compared"), default=0, editable=False)
    creates = models.PositiveIntegerField(default=0, editable=False)
    updates = models.PositiveIntegerField(default=0, editable=False)
    deletes = models.PositiveIntegerField(default=0, editable=False)
    renames = models.PositiveIntegerField(default=0, editable=False)
    conflicts = models.PositiveIntegerField(_("conflicts"), default=0, editable=False)
    omitted = CanonicalJSONField(
        default=dict,
        editable=False,
        help_text=_("Per model: names of fields that the two sides do not agree on, which were left out."),
    )
    redacted = CanonicalJSONField(
        default=dict, editable=False, help_text=_("Per model: names of fields that are shown and exported nowhere.")
    )
    leaf_key = models.BinaryField(
        default=b"", editable=False, help_text=_("Key of what stands for redacted fields in digests; never shown.")
    )
    shapes = CanonicalJSONField(
        default=dict, editable=False, help_text=_("Per model: digest of what was compared of it, for baselines.")
    )
    summary = CanonicalJSONField(
        default=list,
        editable=False,
        help_text=_("Per model: label, name, compared, create, update, delete, cascades, problems."),
    )
    guards = CanonicalJSONField(
        default=list,
        editable=False,
        help_text=_("Why the changeset was blocked: code, model, message, counts, limit."),
    )
    content_seal = models.CharField(max_length=80, editable=False)
    revision = models.PositiveIntegerField(default=0, editable=False)
    undoable = CanonicalJSONField(
        default=dict,
        editable=False,
        help_text=_("The latest decision on many changes: revision, decision, count, actor."),
    )
    approval_seal = models.CharField(max_length=80, blank=True, editable=False)
    approved_revision = models.PositiveIntegerField(null=True, editable=False)
    approved_at = models.DateTimeField(null=True, editable=False)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, editable=False, related_name="+"
    )
    approval_actor = models.CharField(max_length=200, blank=True, editable=False)
    approval_unrestricted = models.BooleanField(
        default=False,
        editable=False,
        help_text=_("Whether the command line approved, which needs no permissions. A missing user says nothing."),
    )
    apply_requested_at = models.DateTimeField(null=True, editable=False)
    apply_requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, editable=False, related_name="+"
    )
    apply_actor = models.CharField(max_length=200, blank=True, editable=False)
    apply_unrestricted = models.BooleanField(
        default=False,
        editable=False,
        help_text=_("Whether the command line asked, which needs no permissions. A missing user says nothing."),
    )
    auto_state = models.CharField(_("by itself"), max_length=8, choices=AUTO_STATES, blank=True, editable=False)
    auto_reasons = CanonicalJSONField(
        default=list,
        editable=False,
        help_text=_("Why it was not applied by itself: code, message."),
    )
    auto_revision = models.PositiveIntegerField(null=True, editable=False)
    submitted_at = models.DateTimeField(null=True, editable=False)
    submissions = models.PositiveIntegerField(default=0, editable=False)
    attempt = models.PositiveIntegerField(default=0, editable=False)
    losses = models.PositiveIntegerField(default=0, editable=False)
    token = models.CharField(max_length=64, blank=True, editable=False)
    applied_at = models.DateTimeField(_("applied"), null=True, editable=False)
    reverted_at = models.DateTimeField(_("reverted"), null=True, editable=False)
    purged_at = models.DateTimeField(_("values purged"), null=True, editable=False)

    class Meta:
        db_table = "data_sync_changeset"
        verbose_name = _("changeset")
        verbose_name_plural = _("changesets")
        ordering = ("-pk",)
        default_permissions = ("view",)
        permissions = (
            ("approve_changeset", _("Can decide on changes and approve a changeset")),
            ("apply_changeset", _("Can apply a changeset")),
            ("revert_changeset", _("Can revert a changeset")),
            ("override_changeset_guard", _("Can let a blocked changeset through the guards")),
            ("export_changeset", _("Can export a changeset as JSON")),
        )

    def __str__(self) -> str:
        return f"{self.pk} · {self.source_name}"


class Change(models.Model):
    """One row's create, update, delete or rename.

    `before` and `after` hold the record's fields (JSON-plain, by field name; null where there is no row), redacted ones
    among them: of those, `services.content` gives what may leave the database. `diff` is a list of `core.diff` rows.
    `files` is `{field: {"before": file|null, "after": file|null}}` with file = `{"name", "size", "checksum":
    "sha256:<hex>"}`, for every file field. `carried` is `{"before": {...}, "after": {...}}`: values that travel but are
    not compared (`auto_now`). `requires` lists numbers of changes that this one needs. `cascades` lists what a delete
    takes along: `{"model", "pk", "label", "effect": "delete"|"null"|"default"|"set"|"unlink"}`.
    `problems` lists why it cannot be applied: `{"code", "field", "message"}`; empty for most. `warnings`
    has the same shape and forbids nothing (validators of the model).

    `base_digest` has the first 16 bytes, in hex, of the record's digest when both sides last agreed; "" where
    that is not known. `base` holds the record's fields then, where a stored change still has them. `conflict` is
    `{}` or `{"kind": "changed"|"removed", "by": str, "at": str}`: the local row has moved away from its base;
    who and when if the admin log knows, else "". Accepting one takes `acknowledged_digest`, the digest of the
    local row (its `before_digest` at the pull; "absent" where there is none) that the reviewer has seen. So does
    accepting one whose row was edited after the pull: `seen` is then `{"digest": str, "fields": {...}}`, that row.

    A rename has its new key in `key`, the old one in `previous_key`, and a `rename_choice`.

    `content_digest` is that of everything above, `sha256:<hex>`; it stays when values are purged. Of a revert, `undoes`
    is the number of the change that it is the inverse of, and `restores` lists the rows that come back with a row that
    was deleted: `{"model", "pk", "label", "effect": "create"|"set", "column"}`. `reverted_by` is the revert whose apply
    has undone this change.

    `kept` is `{}`, or of an update `{"fields": [str], "waives": [int], "holds": bool}`: the fields and files that stay
    as they are here, what it then requires no more, and whether changes that require it can no longer rely on it.

    `decided_revision` is the revision of the changeset that the latest decision made; `decision_before`,
    `acknowledged_before` and `carried_before` are what it replaced. `carried_from` is the changeset whose decision
    stands here, as long as none was made here.
    """

    OPERATIONS = (
        (Operation.CREATE.value, _("added")),
        (Operation.UPDATE.value, _("changed")),
        (Operation.DELETE.value, _("deleted")),
        (Operation.RENAME.value, _("renamed")),
    )
    RENAME_CHOICES = (
        (RenameChoice.RENAME.value, _("keep the row, under the new key")),
        (RenameChoice.REPLACE.value, _("delete the row and add a new one")),
    )
    DECISIONS = (
        (Decision.UNDECIDED.value, _("undecided")),
        (Decision.ACCEPTED.value, _("accepted")),
        (Decision.REJECTED.value, _("rejected")),
    )
    OUTCOMES = (
        (Outcome.APPLIED.value, _("applied")),
        (Outcome.UNCHANGED.value, _("unchanged")),
        (Outcome.SKIPPED.value, _("skipped")),
        (Outcome.STALE.value, _("stale")),
        (Outcome.BLOCKED.value, _("blocked")),
        (Outcome.FAILED.value, _("failed")),
    )

    changeset = models.ForeignKey(Changeset, on_delete=models.PROTECT, related_name="changes")
    number = models.PositiveIntegerField(_("number"))
    model = models.CharField(_("model"), max_length=201)
    operation = models.CharField(_("operation"), max_length=8, choices=OPERATIONS)
    key = CanonicalJSONField(_("natural key"))
    key_text = models.TextField(help_text=_("The key's parts joined for searching and showing."))
    key_digest = models.CharField(max_length=32, help_text=_("First 16 bytes, in hex, of the SHA-256 of the key."))
    previous_key = CanonicalJSONField(null=True)
    local_pk = CanonicalJSONField(null=True, help_text=_("The local row's primary key; null for a create."))
    before = CanonicalJSONField(null=True)
    after = CanonicalJSONField(null=True)
    diff = CanonicalJSONField(default=list)
    files = CanonicalJSONField(default=dict)
    carried = CanonicalJSONField(default=dict)
    before_digest = models.CharField(max_length=80, blank=True)
    after_digest = models.CharField(max_length=80, blank=True)
    requires = CanonicalJSONField(default=list)
    cascades = CanonicalJSONField(default=list)
    problems = CanonicalJSONField(default=list)
    warnings = CanonicalJSONField(default=list)
    undoes = models.PositiveIntegerField(null=True)
    restores = CanonicalJSONField(default=list)
    content_digest = models.CharField(max_length=80, blank=True)
    base = CanonicalJSONField(null=True)
    base_digest = models.CharField(max_length=32, blank=True)
    conflict = CanonicalJSONField(default=dict)
    left_scope = models.BooleanField(
        default=False, help_text=_("Whether the source still has the row, outside of the scope that is synced.")
    )
    has_cascades = models.BooleanField(default=False)
    has_problems = models.BooleanField(default=False)
    is_conflict = models.BooleanField(default=False)
    decision = models.CharField(_("decision"), max_length=10, choices=DECISIONS, default=Decision.UNDECIDED.value)
    acknowledged_digest = models.CharField(max_length=80, blank=True)
    decided_revision = models.PositiveIntegerField(null=True)
    decision_before = models.CharField(max_length=10, choices=DECISIONS, blank=True)
    acknowledged_before = models.CharField(max_length=80, blank=True)
    carried_from = models.PositiveBigIntegerField(null=True)
    carried_before = models.PositiveBigIntegerField(null=True)
    rename_choice = models.CharField(max_length=8, choices=RENAME_CHOICES, default=RenameChoice.RENAME.value)
    seen = CanonicalJSONField(default=dict)
    kept = CanonicalJSONField(default=dict)
    outcome = models.CharField(_("outcome"), max_length=10, choices=OUTCOMES, blank=True)
    outcome_reason = models.TextField(blank=True)
    reverted_by = models.PositiveBigIntegerField(null=True)

    class Meta:
        db_table = "data_sync_change"
        verbose_name = _("change")
        verbose_name_plural = _("changes")
        ordering = ("changeset", "number")
        default_permissions = ("view",)
        constraints = (models.UniqueConstraint(fields=("changeset", "number"), name="data_sync_change_number"),)
        indexes = (
            models.Index(fields=("changeset", "model", "operation", "number"), name="data_sync_change_nav"),
            models.Index(fields=("changeset", "decision", "number"), name="data_sync_change_decision"),
            models.Index(fields=("model", "key_digest"), name="data_sync_change_key"),
        )

    def __str__(self) -> str:
        return f"#{self.number} {self.model} {self.key_text}"
