"""What people leave at changes beside their decisions."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .changesets import Change


class Viewing(models.Model):
    """Somebody has ticked a change off as looked at. A change's content never alters, so this is about its content."""

    change = models.ForeignKey(Change, on_delete=models.CASCADE, related_name="viewings")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")

    class Meta:
        db_table = "data_sync_viewing"
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=("change", "user"), name="data_sync_viewing_once"),)

    def __str__(self) -> str:
        return f"{self.user_id}: {self.change_id}"


class Comment(models.Model):
    """What somebody said about a change: plain text, only ever added. The event beside it is in the audit chain.

    `origin` is the comment that this one was carried over from, the very first one.
    """

    change = models.ForeignKey(Change, on_delete=models.PROTECT, related_name="comments")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor = models.CharField(_("who"), max_length=200)
    at = models.DateTimeField(_("at"))
    text = models.TextField(_("comment"))
    origin = models.PositiveBigIntegerField(null=True)

    class Meta:
        db_table = "data_sync_comment"
        verbose_name = _("comment")
        verbose_name_plural = _("comments")
        ordering = ("pk",)
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.actor}: {self.text[:80]}"
