"""Cells and rows as HTML. Each piece of a value is escaped by `format_html`; no value becomes a link."""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from data_sync.core.text import Mark

from .cells import Absence, Cell, FileCell, Item
from .folding import CLAMP_LINES, Extent, Rest, Stretch
from .signs import NOTHING, Signs, joined, visible

BREAK = SafeString("<wbr>")


def cell(value: Cell) -> SafeString:
    """What stands in one cell."""
    if value.absence in ("redacted", "redacted_change"):
        return format_html(
            '<span class="ds-absence"><span aria-hidden="true">•••</span> {} <span class="visually-hidden">{}</span>'
            "</span>",
            absence_words(value.absence),
            _("(the field is redacted: its values are not shown)"),
        )
    if value.absence is not None:
        return format_html('<span class="ds-absence">{}</span>', absence_words(value.absence))
    if value.file is not None:
        return _file(value.file)
    if value.items or value.kept:
        return _items(value)
    return format_html(
        '<div class="ds-text{}" dir="auto">{}</div>',
        " ds-code" if value.is_code else "",
        _text(value),
    )


def path(text: str) -> SafeString:
    """A path with places to break the line at, always read from left to right."""
    parts = re.split(r"(?<=[^.\[])(?=[.\[])", text)
    return format_html('<bdi dir="ltr">{}</bdi>', format_html_join(BREAK, "{}", ((part,) for part in parts)))


def absence_words(absence: Absence) -> str:
    match absence:
        case "absent":
            return _("(not present)")
        case "null":
            return _("(null)")
        case "empty":
            return _("(empty text)")
        case "none":
            return _("(none)")
        case "no_file":
            return _("(no file)")
        case "unknown":
            return _("(not known)")
        case "redacted":
            return _("(hidden)")
        case "redacted_change":
            return _("changed")


def _text(value: Cell) -> SafeString:
    signs = Signs(value.reveal)
    parts = _stretches(value.stretches, signs)
    if value.rest is not None:
        parts.append(_fold(_rest_words(value.rest), joined(_stretches(value.rest.stretches, signs))))
    if signs.are_used_up:
        parts.append(format_html('<div class="ds-quiet">{}</div>', _("Further invisible characters are not marked.")))
    return joined(parts)


def _stretches(stretches: Sequence[Stretch], signs: Signs) -> list[SafeString]:
    parts = []
    for index, stretch in enumerate(stretches):
        following = stretches[index + 1].text if index + 1 < len(stretches) else "\n"
        text = signs.text(stretch, following.startswith(("\n", "\r\n")))
        match stretch.mark:
            case Mark.REMOVED:
                text = format_html("<del>{}</del>", text)
            case Mark.ADDED:
                text = format_html("<ins>{}</ins>", text)
            case Mark.EQUAL:
                pass
        if stretch.left_out is not None:
            text = _left_out(extent_words(stretch.left_out, unchanged=False))
        elif stretch.folded is not None:
            words = extent_words(stretch.folded, unchanged=True)
            text = _left_out(words) if stretch.is_cut else _fold(words, text)
        parts.append(text)
    return parts


def _rest_words(rest: Rest) -> str:
    words = extent_words(rest.size, unchanged=False)
    if not rest.differences:
        return words
    return ngettext(
        "%(words)s, with %(n)s more difference", "%(words)s, with %(n)s more differences", rest.differences
    ) % {"words": words, "n": rest.differences}


def extent_words(size: Extent, *, unchanged: bool) -> str:
    kind, count = size
    match kind, unchanged:
        case "lines", True:
            return ngettext("%(n)s unchanged line", "%(n)s unchanged lines", count) % {"n": count}
        case "lines", False:
            return ngettext("%(n)s more line", "%(n)s more lines", count) % {"n": count}
        case _, True:
            return ngettext("%(n)s unchanged character", "%(n)s unchanged characters", count) % {"n": count}
        case _:
            return ngettext("%(n)s more character", "%(n)s more characters", count) % {"n": count}


def _fold(words: str, content: SafeString) -> SafeString:
    return format_html('<details class="ds-fold"><summary>{}</summary>{}</details>', words, content)


def _left_out(words: str) -> SafeString:
    return format_html('<div class="ds-left-out">{}</div>', _("%(words)s, not on this page") % {"words": words})


def _items(value: Cell) -> SafeString:
    own, (own_left_out, kept_left_out) = value.items, value.left_out
    parts = [_list(own[:CLAMP_LINES])] if own else []
    if len(own) > CLAMP_LINES:
        parts.append(_fold(_more(len(own) - CLAMP_LINES), _list(own[CLAMP_LINES:])))
    if own_left_out:
        parts.append(_left_out(_more(own_left_out)))
    count = len(value.kept) + kept_left_out
    if count:
        words = ngettext("%(n)s on both sides", "%(n)s on both sides", count) % {"n": count}
        if value.names_kept:
            kept = [_list([Item(text=text) for text in value.kept])]
            parts.append(_fold(words, joined([*kept, _left_out(_more(kept_left_out))] if kept_left_out else kept)))
        else:
            parts.append(format_html('<div class="ds-quiet">{}</div>', words))
    return joined(parts)


def _more(count: int) -> str:
    return ngettext("%(n)s more", "%(n)s more", count) % {"n": count}


def _list(items: Sequence[Item]) -> SafeString:
    if len(items) == 1:
        return format_html('<div class="ds-item">{}</div>', _item(items[0]))
    return format_html(
        '<ul class="ds-items">{}</ul>',
        # An item of this list is a block, and so isolated like a <bdi>; one element fewer for each of thousands.
        format_html_join("", '<li dir="auto">{}</li>', ((_item(item, is_isolated=True),) for item in items)),
    )


def _item(item: Item, *, is_isolated: bool = False) -> SafeString:
    match item.mark:
        case Mark.REMOVED:
            key = format_html("<del><bdi>{}</bdi></del>", visible(item.text))
        case Mark.ADDED:
            key = format_html("<ins><bdi>{}</bdi></ins>", visible(item.text))
        case Mark.EQUAL:
            key = format_html("{}" if is_isolated else "<bdi>{}</bdi>", visible(item.text))
    if item.created_by is None:
        return key
    words = _("created by #%(number)s") % {"number": item.created_by}
    return format_html('{} <a class="ds-aside" href="?number={}">{}</a>', key, item.created_by, words)


def _file(value: FileCell) -> SafeString:
    if value.is_missing:
        words = _("(the storage has no such file)")
        return format_html(
            '<div class="ds-file"><bdi>{}</bdi> <span class="ds-absence">{}</span></div>', visible(value.name), words
        )
    place, picture = value.place, NOTHING
    if place.thumbnail:
        picture = format_html('<img class="ds-thumbnail" src="{}" alt="" loading="lazy">', place.thumbnail)
    facts = [filesizeformat(value.size)]
    if place.width:
        facts.append(_("%(width)s × %(height)s pixels") % {"width": place.width, "height": place.height})
    match place.trouble:
        case "too_large":
            facts.append(_("too large for a thumbnail"))
        case "other":
            facts.append(_("no longer the file that was compared"))
        case "broken":
            facts.append(_("not a picture that can be read"))
    return format_html(
        '<div class="ds-file">{}<div><a href="{}"><bdi>{}</bdi></a>'
        '<div class="ds-quiet">{} · <code title="{}">{}</code></div></div></div>',
        picture,
        place.url,
        visible(value.name),
        " · ".join(facts),
        value.checksum,
        value.checksum.removeprefix("sha256:")[:12],
    )
