"""What data_sync tells the project: signals of changesets, sent once what they tell of is committed.

The sender is `Changeset`. Each comes with `changeset` (as it is after the commit), `actor` (a text: who did it) and
`event` (the `Event` of the audit trail that it follows from). A receiver that raises is logged, and hinders nothing:
neither the data, nor the other receivers.
"""

from __future__ import annotations

from django.dispatch import Signal

changeset_ready = Signal()
"""It waits for people: a pull, an upload or a revert has stored it, or auto-apply has left it for review."""
changeset_approved = Signal()
changeset_applied = Signal()
changeset_failed = Signal()
"""Its apply has written nothing: it is failed, or stale."""
changeset_reverted = Signal()
