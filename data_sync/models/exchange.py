"""Who this environment reads from (sources), and who may read from it (export keys)."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class DataSource(models.Model):
    """Another environment of the same project, to pull from.

    `key` is either `env:NAME`, a reference to an environment variable, or the key itself, encrypted
    by `services.credentials`; it is never shown again. `google_audience` is for whom Google is to make out the
    ID tokens that go with each request; "" means none do.
    """

    name = models.CharField(_("name"), max_length=100, unique=True)
    url = models.URLField(
        _("URL"),
        max_length=500,
        help_text=_("The prefix under which the other environment includes data_sync.urls, without end slash."),
    )
    key = models.TextField(_("export key"), blank=True, editable=False)
    google_audience = models.CharField(_("Google audience"), max_length=500, blank=True)
    delete_limit = models.PositiveIntegerField(
        _("rows deleted"),
        null=True,
        editable=False,
        help_text=_("Of how many rows of a model at most deletes go to review unblocked; null: the setting's."),
    )
    delete_percent = models.PositiveSmallIntegerField(
        _("percent deleted"),
        null=True,
        editable=False,
        help_text=_("The same, in percent of a model's rows here."),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        db_table = "data_sync_source"
        verbose_name = _("data source")
        verbose_name_plural = _("data sources")
        ordering = ("name",)
        permissions = (
            ("pull_datasource", _("Can pull from a data source")),
            ("trust_datasource", _("Can have a data source's changes applied without review")),
        )

    def __str__(self) -> str:
        return self.name


class ExportKey(models.Model):
    """A key with which another environment may read from this one. Only its hash is stored."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    prefix = models.CharField(_("prefix"), max_length=16, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    model_labels = models.JSONField(
        _("models"),
        default=list,
        blank=True,
        help_text=_("Labels of the models that this key may read; empty means every registered model."),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, editable=False, related_name="+"
    )
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    last_used_from = models.CharField(_("last used from"), max_length=45, blank=True, editable=False)

    class Meta:
        db_table = "data_sync_export_key"
        verbose_name = _("export key")
        verbose_name_plural = _("export keys")
        ordering = ("name",)
        permissions = (("manage_exportkey", _("Can create and revoke export keys")),)

    def __str__(self) -> str:
        return self.name
