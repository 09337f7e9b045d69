"""Who does something, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from data_sync.core.errors import NotPermitted


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, or the command line, which may do everything (who runs it holds the database anyway)."""

    label: str
    user: Any = None
    unrestricted: bool = False

    def may(self, permission: str) -> bool:
        """`permission` is Django's `app_label.codename`."""
        return self.unrestricted or (self.user is not None and self.user.is_active and self.user.has_perm(permission))

    def require(self, permission: str) -> None:
        if not self.may(permission):
            raise NotPermitted(f"{self.label} lacks the permission {permission}; ask an administrator for it.")


def of_user(user: Any) -> Actor:
    return Actor(label=user.get_username(), user=user)


def command_line() -> Actor:
    return Actor(label="command line", unrestricted=True)
