"""Who may push: RELIABILITY 2. The bearer of a token that Google signed, for our audience, of our service account.

`google-auth` verifies signature, times, audience and issuer. It checks no e-mail, and takes an audience of None for
"any". So that is done here, and all that can be seen without Google's keys is looked at first: garbage costs no fetch.
"""

from __future__ import annotations

import binascii
import logging
import re
from base64 import urlsafe_b64decode
from typing import Any

from data_sync import conf
from data_sync.core import canonical
from data_sync.core.errors import DataSyncError

from . import certificates, target

ISSUERS = ("https://accounts.google.com", "accounts.google.com")
CLOCK_SKEW_SECONDS = 10
LONGEST = 4096
"""Characters. Google's tokens of service accounts have some 1,000."""
_BEARER = re.compile(r"(?i:Bearer) +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)")

logger = logging.getLogger("data_sync")


def is_ours(authorization: str | None) -> bool:
    """Whether an `Authorization` header has a token of our queue. Queries no database.

    Raises `certificates.KeysUnavailable` where that cannot be said now, because Google's keys cannot be had.
    """
    audience, email = target.audience(), conf.service_account_email()
    # Without either, google-auth would let any audience pass, and an empty e-mail could be equal to an empty one.
    if not audience or not email or authorization is None or len(authorization) > LONGEST:
        return False
    found = _BEARER.fullmatch(authorization)
    if found is None:
        return False
    key_id = _key_id(found[1], audience, email)
    return key_id is not None and _is_signed(found[1], key_id, audience, email)


def _key_id(token: str, audience: str, email: str) -> str | None:
    """With which key it says it is signed; None unless it says of itself all that ours would say."""
    header, claims = (_part(text) for text in token.split(".")[:2])
    if header is None or claims is None or header.get("alg") != "RS256":
        return None
    if not all(_is_number(claims.get(name)) for name in ("iat", "exp")) or not _are_ours(claims, audience, email):
        return None
    key_id = header.get("kid")
    return key_id if isinstance(key_id, str) and key_id else None


def _part(text: str) -> dict[str, Any] | None:
    try:
        value = canonical.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    except (binascii.Error, ValueError, RecursionError, DataSyncError):
        return None
    return value if isinstance(value, dict) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_ours(claims: Any, audience: str, email: str) -> bool:
    return (
        claims.get("aud") == audience
        and claims.get("iss") in ISSUERS
        and claims.get("email") == email
        and claims.get("email_verified") is True
    )


def _is_signed(token: str, key_id: str, audience: str, email: str) -> bool:
    keys = certificates.content(key_id)
    from google.oauth2 import id_token

    def fetched(url: str, method: str = "GET", **_: Any) -> certificates.Answer:
        """What google-auth would fetch for every token."""
        return certificates.Answer(keys)

    try:
        claims = id_token.verify_oauth2_token(
            token, fetched, audience=audience, clock_skew_in_seconds=CLOCK_SKEW_SECONDS
        )
    except Exception as error:
        # What bytes from a stranger make a library raise is no closed list: binascii.Error, TypeError, OverflowError …
        logger.info("A token was refused: %s", type(error).__name__)
        return False
    return _are_ours(claims, audience, email)
