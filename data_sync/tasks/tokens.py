"""Who may push: RELIABILITY 2. The bearer of a token that Google signed, for our audience, of our service account."""

from __future__ import annotations

import re

from data_sync import conf
from data_sync.services import google_tokens

from . import target

_BEARER = re.compile(r"(?i:Bearer) +(\S+)")


def is_ours(authorization: str | None) -> bool:
    """Whether an `Authorization` header has a token of our queue. Queries no database.

    Raises `certificates.KeysUnavailable` where that cannot be said now, because Google's keys cannot be had.
    """
    found = None if authorization is None else _BEARER.fullmatch(authorization)
    email = conf.service_account_email()
    return found is not None and google_tokens.verified_email(found[1], target.audience(), (email,)) is not None
