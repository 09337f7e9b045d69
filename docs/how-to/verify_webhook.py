"""Verifies a webhook of data_sync: python verify_webhook.py SIGNATURE < body, with the secret in DATA_SYNC_SECRET."""

import hashlib
import hmac
import os
import sys
import time

TOLERANCE = 300  # seconds between the two clocks, so that nobody can send an old message again


def is_authentic(secret: str, header: str, body: bytes) -> bool:
    parts = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
    at, given = parts.get("t", ""), parts.get("v1", "")
    if not at.isdigit() or abs(time.time() - int(at)) > TOLERANCE:
        return False
    expected = hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), given.encode())


if __name__ == "__main__":
    sys.exit(not is_authentic(os.environ["DATA_SYNC_SECRET"], sys.argv[1], sys.stdin.buffer.read()))
