"""Tokens that Google signed: RELIABILITY 2. Who holds one, made out for our audience, is the account that it names.

`google-auth` verifies signature, times, audience and issuer. It checks no e-mail, and takes an audience of None for
"any". So that is done here, and all that can be seen without Google's keys is looked at first: garbage costs no fetch.
"""

from __future__ import annotations

import binascii
import logging
import re
from base64 import urlsafe_b64decode
from collections.abc import Collection
from typing import Any

from data_sync.core import canonical
from data_sync.core.errors import DataSyncError

from . import certificates

ISSUERS = ("https://accounts.google.com", "accounts.google.com")
CLOCK_SKEW_SECONDS = 10
LONGEST = 4096
"""Characters. Google's tokens of service accounts have some 1,000."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

logger = logging.getLogger("data_sync")


def is_token(text: str) -> bool:
    """Whether this has the form of a token: three parts, where an export key has two."""
    return len(text) <= LONGEST and _TOKEN.fullmatch(text) is not None


def claimed_email(text: str) -> str:
    """The account that a token says it is of, unverified; "" if it says none."""
    claims = _part(text.split(".")[1]) if is_token(text) else None
    email = None if claims is None else claims.get("email")
    return email if isinstance(email, str) else ""


def verified_email(text: str, audience: str, emails: Collection[str]) -> str | None:
    """Which of these accounts a token proves its bearer to be, at this audience. Queries no database.

    Raises `certificates.KeysUnavailable` where that cannot be said now, because Google's keys cannot be had.
    """
    # Without either, google-auth would let any audience pass, and an empty e-mail could be equal to an empty one.
    if not audience or not is_token(text):
        return None
    email = claimed_email(text)
    if not email or email not in emails:
        return None
    key_id = _key_id(text, audience, email)
    return email if key_id is not None and _is_signed(text, key_id, audience, email) else None


def _key_id(token: str, audience: str, email: str) -> str | None:
    """With which key it says it is signed; None unless it says of itself all that a good one would say."""
    header, claims = (_part(text) for text in token.split(".")[:2])
    if header is None or claims is None or header.get("alg") != "RS256":
        return None
    if not all(_is_number(claims.get(name)) for name in ("iat", "exp")) or not _are_right(claims, audience, email):
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


def _are_right(claims: Any, audience: str, email: str) -> bool:
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
    return _are_right(claims, audience, email)
