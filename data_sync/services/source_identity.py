"""What may be stored for a source to say who asks: an export key, and for whom Google makes out tokens."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from django.views.decorators.debug import sensitive_variables

from data_sync.core.errors import InvalidInput
from data_sync.sources.addresses import SourceUrl

from . import credentials
from .actors import Actor

REFERENCE_PREFIX = "DATA_SYNC_KEY_"
"""How a variable's name begins that a person with the permission to add sources may refer to."""
_AUDIENCE = re.compile(r"[!-~]{1,500}")


@sensitive_variables()
def protected_key(key: str, actor: Actor) -> str:
    """What to store for a key that somebody gives. Raises `InvalidInput`."""
    variable = key.strip().removeprefix(credentials.REFERENCE)
    if variable != key.strip() and not actor.unrestricted and not variable.startswith(REFERENCE_PREFIX):
        # Otherwise who may add a source could have any secret of the environment sent to a host of their own.
        raise InvalidInput(
            f"Only variables whose names begin with {REFERENCE_PREFIX} can be named here, such as "
            f"env:{REFERENCE_PREFIX}STAGING; `manage.py data_sync source add` takes any."
        )
    return credentials.protect(key)


def audience_of(given: str, url: SourceUrl, actor: Actor) -> str:
    """The audience to store for a source at this URL; "" where none is given. Raises `InvalidInput`."""
    audience = given.strip()
    if not audience:
        return ""
    if _AUDIENCE.fullmatch(audience) is None:
        raise InvalidInput("A Google audience is 1 to 500 printable ASCII characters without spaces.")
    if url.scheme != "https":
        raise InvalidInput("A Google token is sent over https only.")
    if not actor.unrestricted and _origin(audience) != url.origin:
        # Otherwise who may add a source could have tokens for any other service sent to a host of their own.
        raise InvalidInput(
            f"Here the Google audience can only be the source's own host, as in https://{url.authority}; "
            "`manage.py data_sync source add --google-audience` takes any, such as the client ID of IAP."
        )
    return audience


def _origin(audience: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(audience)
        return parts.scheme, parts.hostname or "", parts.port or 443
    except ValueError:
        return None
