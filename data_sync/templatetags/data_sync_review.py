"""Template tags of the review screens: presentation values in, escaped HTML out.

Django imports every tag library, also in projects without the admin: `data_sync.admin`, which cannot
be imported there, is imported by the tags only.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import template
from django.utils.safestring import SafeString

if TYPE_CHECKING:
    from data_sync.admin.cells import Cell
    from data_sync.models import Changeset

register = template.Library()
KEY = 160
"""Characters of a natural key that stands in a line of text."""


@register.simple_tag
def badge(state: str, words: object) -> SafeString:
    from data_sync.admin import markup

    return markup.badge(state, words)


@register.filter
def operation_badge(operation: str) -> SafeString:
    from data_sync.admin import markup

    return markup.operation_badge(operation)


@register.filter
def operation_words(operation: str) -> str:
    from data_sync.admin import markup

    return markup.operation_words(operation)


@register.filter
def guard_words(guard: dict[str, Any]) -> str:
    """What holds a changeset back, with its figures."""
    from data_sync.admin import guards

    return guards.guard_words(guard)


@register.filter
def remedies(guards_of_changeset: list[dict[str, Any]]) -> list[str]:
    from data_sync.admin import guards

    return guards.remedies(guards_of_changeset)


@register.filter
def counts(changeset: Changeset) -> SafeString:
    from data_sync.admin import markup

    return markup.counts(changeset)


@register.filter
def shortened(key: str) -> SafeString:
    """A natural key for a line of text, with signs for what cannot be seen. Of one that is too long for a line, both
    ends; its fields show the whole."""
    from data_sync.admin import signs

    return signs.visible(key if len(key) <= KEY else f"{key[: KEY * 3 // 4]} … {key[-KEY // 4 :]}")


@register.filter
def unfolded(html: str) -> str:
    """Opens what is folded, for paper. In content, "<" is escaped."""
    return html.replace("<details", "<details open")


@register.filter
def moment(at: datetime | None, style: str = "DATETIME_FORMAT") -> str:
    """A time of day with its time zone."""
    from data_sync.admin import dates

    return dates.moment(at, style)


@register.filter
def holds_until(changeset: Changeset) -> datetime | None:
    from data_sync.services import expiry

    return expiry.holds_until(changeset)


@register.filter
def has_expired(changeset: Changeset) -> bool:
    from data_sync.services import expiry

    return expiry.has_expired(changeset)


@register.filter
def cell(value: Cell) -> SafeString:
    from data_sync.admin import cell_markup

    return cell_markup.cell(value)


@register.filter
def path(text: str) -> SafeString:
    """A path inside a value, which may be broken before its dots and brackets."""
    from data_sync.admin import cell_markup

    return cell_markup.path(text)


@register.filter
def side_class(value: Cell) -> str:
    """The CSS class of a cell: what happened to it, and whether there is anything in it."""
    return "ds-nothing" if value.absence == "absent" else f"ds-{value.mark.value}"
