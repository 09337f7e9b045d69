"""Guards in words: what holds a changeset back, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .names import model_name

Guard = Mapping[str, Any]


def guard_words(guard: Guard) -> str:
    """A stored guard, with its figures."""
    counts = guard.get("counts") or {}
    facts = {**counts, "model": model_name(guard.get("model", "")), "limit": guard.get("limit")}
    match guard["code"] if counts else "":
        case "empty_side":
            return _said(
                ngettext(
                    "The source has no row of %(model)s, and here there is %(here)s: it would be deleted.",
                    "The source has no row of %(model)s, and here there are %(here)s: %(deletes)s would be deleted.",
                    counts["here"],
                ),
                facts,
            )
        case "too_many_deletes_percent":
            return _said(
                ngettext(
                    "%(deletes)s of %(here)s row of %(model)s (%(share)s) would be deleted; the limit is %(limit)s %%.",
                    "%(deletes)s of %(here)s rows of %(model)s (%(share)s) would be deleted; the limit is %(limit)s "
                    "%%.",
                    counts["here"],
                ),
                facts,
            )
        case "too_many_deletes":
            return _said(
                ngettext(
                    "%(deletes)s row of %(model)s would be deleted; the limit is %(limit)s.",
                    "%(deletes)s rows of %(model)s would be deleted; the limit is %(limit)s.",
                    counts["deletes"],
                ),
                facts,
            )
        case "unregistered_cascade":
            return _said(
                ngettext(
                    "%(along)s row of %(model)s, about which the source says nothing, would be deleted along with "
                    "others.",
                    "%(along)s rows of %(model)s, about which the source says nothing, would be deleted along with "
                    "others.",
                    counts["along"],
                ),
                facts,
            )
        case _:
            return str(guard["message"])


def _said(words: str, facts: Mapping[str, Any]) -> str:
    here, deletes, limit = facts["here"], facts["deletes"], facts["limit"]
    percent = deletes * 100 // here if here else 100
    # 501 of 1000 rows are more than 50 %, and are not said to be as many.
    share = _("over %(percent)s %%") if percent == limit else _("%(percent)s %%")
    return words % {**facts, "share": share % {"percent": percent}}


def remedies(guards: Iterable[Guard]) -> list[str]:
    """What to look at before anybody lets them through, each said once."""
    codes = {guard["code"] for guard in guards}
    found = []
    if codes & {"empty_side", "too_many_deletes", "too_many_deletes_percent"}:
        found.append(_("If these rows should stay: see that the source is the right one, and whole; then pull again."))
    if "unregistered_cascade" in codes:
        found.append(_("Where rows go along, look at the deletes that take them: moved elsewhere, they stay."))
    if "schema_difference" in codes:
        found.append(_("Where the two sides differ in form, bring both to one version, and pull again."))
    if found:
        found.append(_("To reject single deletes does not lift it: the guard is about what the source says."))
    return found
