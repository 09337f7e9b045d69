"""How often one address may be refused: RELIABILITY 1. What fails beyond that is told to wait, rather than 401.

Only what fails is counted, and only then is the limit looked at: whoever gives a right key is let in however much noise
comes from the same address, as many may share a load balancer's. Counted in Django's default cache, by minutes, in so
few entries that strangers push nothing of the project's out of it. A cache that is down limits nobody.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from ipaddress import IPv4Address, IPv6Network, ip_address

from django.core.cache import cache

from data_sync import conf
from data_sync.core.errors import DataSyncError

WINDOW_SECONDS = 60
BUCKETS = 16
"""How many counts there are in a minute. Addresses that share one by chance wait for each other's failures."""
_PREFIX = "data_sync:export:failures"
_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([^:]*):\d+")

logger = logging.getLogger("data_sync")


class TooManyFailures(DataSyncError):
    """The address has been refused too often; `seconds` until it may try again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many requests from this address were refused; try again in {seconds} seconds.")
        self.seconds = seconds


def client_address(remote: str, forwarded: str) -> str:
    """Who sends a request, by the connection's address and the header `X-Forwarded-For`; "" if neither says.

    Each proxy adds whom it was called by at the right, so that only the `DATA_SYNC_PROXIES` rightmost are believed.
    Where there are fewer, the request did not come by all of them.
    """
    proxies = conf.proxies()
    passed = [part for part in forwarded.split(",") if part.strip()]
    return _plain(passed[-proxies] if 0 < proxies <= len(passed) else remote)


def note_refused(address: str) -> None:
    """Counts a failure. Raises `TooManyFailures` where the address has had its share of this minute before."""
    now = time.time()
    key = f"{_PREFIX}:{_bucket(address)}:{int(now) // WINDOW_SECONDS}"
    try:
        cache.add(key, 0, WINDOW_SECONDS)
        count = cache.incr(key)
    except Exception as error:
        # Whatever a cache's client raises when that is down; ValueError, too: the minute has passed between the two.
        logger.warning("The cache cannot be used, so failures to give an export key are not counted: %r", error)
        return
    if count > conf.failure_limit():
        raise TooManyFailures(max(1, WINDOW_SECONDS - int(now) % WINDOW_SECONDS))


def _bucket(address: str) -> int:
    return hashlib.sha256(_counted_as(address).encode()).digest()[0] % BUCKETS


def _counted_as(address: str) -> str:
    """The address, or the network of an IPv6 address that one customer has to himself (RFC 6177)."""
    return str(IPv6Network(f"{address}/64", strict=False)) if ":" in address else address


def _plain(given: str) -> str:
    """An address without port and zone, an IPv4 address in IPv6 clothing without them; "" for anything else."""
    given = given.strip()
    with_port = _PORT.fullmatch(given)
    text = (with_port[1] or with_port[2] or "") if with_port else given
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = None if isinstance(address, IPv4Address) else address.ipv4_mapped
    return str(mapped or address)
