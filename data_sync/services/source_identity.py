"""What may be stored for a source to say who asks: an export key, and for whom Google makes out tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.views.decorators.debug import sensitive_variables

from data_sync.core import canonical
from data_sync.core.errors import InvalidInput
from data_sync.models import DataSource, Event
from data_sync.models.fields import as_stored
from data_sync.sources.addresses import SourceUrl

from . import credentials
from .actors import Actor

REFERENCE_PREFIX = "DATA_SYNC_KEY_"
"""How a variable's name begins that a person with the permission to add sources may refer to."""
_AUDIENCE = re.compile(r"[!-~]{1,500}")


Origin = tuple[str, str, int]


@sensitive_variables()
def protected_key(key: str, url: str, actor: Actor) -> str:
    """What to store for a key that somebody gives, of a source at this URL. Raises `InvalidInput`.

    Two queries for a reference that a person gives, else none.
    """
    given = key.strip()
    if given.startswith(credentials.REFERENCE) and not actor.unrestricted:
        if not given.removeprefix(credentials.REFERENCE).startswith(REFERENCE_PREFIX):
            # Otherwise who may add a source could have any secret of the environment sent to a host of their own.
            raise InvalidInput(
                f"Only variables whose names begin with {REFERENCE_PREFIX} can be named here, such as "
                f"env:{REFERENCE_PREFIX}STAGING; `manage.py data_sync source add`, or `change`, takes any."
            )
        origins = set(_origins_of(given))
        if origins and _origin(url) not in origins:
            # What the variable holds is the key of that source, which whoever types its name need not know.
            raise InvalidInput(
                f"{given} is, or was, the key of a source at another host, and would be sent to this one. Name a "
                "variable that no source has had yet, or give the key itself; `manage.py data_sync source change` "
                "takes any variable for any host."
            )
    return credentials.protect(key)


def _origins_of(reference: str) -> Iterator[Origin | None]:
    """Where sources are, or have been, whose key is or was this reference, as far as rows and events tell."""
    for url, key in DataSource.objects.filter(key=reference).values_list("url", "key"):
        if key == reference:  # Some databases compare without regard to case.
            yield _origin(url)
    mentioned = Event.objects.filter(chain__startswith="source:", action__in=("source_added", "source_changed"))
    details = mentioned.alias(text=as_stored("detail")).filter(text__contains=canonical.dumps(reference))
    for detail in details.values_list("detail", flat=True):
        told: tuple[Any, ...] = (detail, detail.get("before"), detail.get("after"))
        yield from (_origin(one["url"]) for one in told if one and one.get("key") == reference)


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


def _origin(url: str) -> Origin | None:
    """Scheme, host and port, also of what the settings no longer allow."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError:
        return None
