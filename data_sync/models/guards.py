"""How many rows a pull may propose to delete before a person is asked."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .exchange import DataSource


class DeleteLimit(models.Model):
    """A model's own limits, for changesets of one source. Null: the source's, else the setting's."""

    source = models.ForeignKey(DataSource, on_delete=models.CASCADE, related_name="delete_limits")
    model = models.CharField(_("model"), max_length=201)
    limit = models.PositiveIntegerField(_("rows"), null=True)
    percent = models.PositiveSmallIntegerField(_("percent"), null=True)

    class Meta:
        db_table = "data_sync_delete_limit"
        verbose_name = _("delete limit")
        verbose_name_plural = _("delete limits")
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=("source", "model"), name="data_sync_delete_limit_model"),)

    def __str__(self) -> str:
        return f"{self.model}: {self.limit} rows, {self.percent} %"
