"""Small pieces of HTML. Every value passes through `format_html`: nothing here marks content as safe."""

from __future__ import annotations

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from data_sync.core.states import ChangesetState, Decision, Operation, Outcome, PullState
from data_sync.models import Changeset

from .guards import guard_words

TOLD = 5
"""So many guards of a changeset are told in a list."""
STATE_SHAPES = {
    ChangesetState.PENDING: "○",
    ChangesetState.BLOCKED: "▲",
    ChangesetState.APPROVED: "◆",
    ChangesetState.APPLYING: "▶",
    ChangesetState.APPLIED: "✓",
    ChangesetState.STALE: "◇",
    ChangesetState.FAILED: "✗",
    ChangesetState.REJECTED: "⊘",
    ChangesetState.SUPERSEDED: "»",
    ChangesetState.REVERTED: "↺",
    PullState.QUEUED: "○",
    PullState.READING: "▶",
    PullState.COMPARING: "▶",
    PullState.DONE: "✓",
    PullState.CANCELLED: "⊘",
    Decision.UNDECIDED: "○",
    Decision.ACCEPTED: "✓",
    Outcome.UNCHANGED: "=",
    Outcome.SKIPPED: "–",
    "conflict": "⚠",
    "moved": "⚠",
    "left_scope": "◌",
}
"""By value: words that several vocabularies share (applied, failed, …) have one shape."""

SIGNS = {Operation.CREATE: "+", Operation.UPDATE: "~", Operation.DELETE: "−", Operation.RENAME: "→"}
COLUMNS = (Operation.CREATE, Operation.UPDATE, Operation.RENAME, Operation.DELETE)
"""The order in which operations stand where they are counted."""


def badge(state: str, words: object) -> SafeString:
    """A state as text with a shape, so that colour is never the only sign."""
    shapes: dict[str, str] = {str(name): shape for name, shape in STATE_SHAPES.items()}
    return format_html(
        '<span class="ds-badge ds-is-{}"><span aria-hidden="true">{}</span> {}</span>',
        state,
        shapes.get(state, "·"),
        words,
    )


def state_badge(changeset: Changeset) -> SafeString:
    """The state, with a sign where guards hold it or did, and on pointing at it which."""
    state = badge(changeset.state, changeset.get_state_display())
    if not changeset.guards:
        return state
    words = [guard_words(guard) for guard in changeset.guards[:TOLD]]
    more = len(changeset.guards) - TOLD
    if more > 0:
        words.append(ngettext("and %(n)s more", "and %(n)s more", more) % {"n": more})
    return format_html(
        '{} <span class="ds-warn" title="{}"><span aria-hidden="true">⚠</span>'
        '<span class="visually-hidden">{}</span></span>',
        state,
        " ".join(words),
        ngettext("%(n)s guard", "%(n)s guards", len(changeset.guards)) % {"n": len(changeset.guards)},
    )


def operation_words(operation: str) -> str:
    match Operation(operation):
        case Operation.CREATE:
            return _("Added")
        case Operation.UPDATE:
            return _("Changed")
        case Operation.DELETE:
            return _("Deleted")
        case Operation.RENAME:
            return _("Renamed")


def operation_badge(operation: str) -> SafeString:
    return format_html(
        '<span class="ds-op ds-op-{}"><span class="ds-sign" aria-hidden="true">{}</span> {}</span>',
        operation,
        SIGNS[Operation(operation)],
        operation_words(operation),
    )


def counts(changeset: Changeset) -> SafeString:
    """`+12 ~80 −2`, with words for who does not see the signs; `→1` too where there are renames."""
    numbers = (changeset.creates, changeset.updates, changeset.renames, changeset.deletes)
    parts = [
        (operation, number)
        for operation, number in zip(COLUMNS, numbers, strict=True)
        if number or operation is not Operation.RENAME
    ]
    return format_html(
        '<span class="ds-counts">{}</span>',
        format_html_join(
            " ",
            '<span class="ds-op-{}{}"><span aria-hidden="true">{}</span>{}'
            '<span class="visually-hidden"> {}</span></span>',
            (
                (operation, "" if count else " ds-zero", SIGNS[operation], count, operation_words(operation))
                for operation, count in parts
            ),
        ),
    )


def conflict_count(number: int) -> SafeString:
    """`⚠ 3`; a quiet nought where there are none."""
    if not number:
        return format_html('<span class="ds-zero">{}</span>', 0)
    return format_html('<span class="ds-warn"><span aria-hidden="true">⚠</span> {}</span>', number)
