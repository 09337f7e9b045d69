"""How often one address may be refused: RELIABILITY 1. What is over that is turned away before anything is looked up.

Counted in Django's default cache, by minutes. Whoever was accepted from an address within the last day is let through
however much noise comes from there, as many may share a load balancer's. A cache that is down limits nobody.
"""

from __future__ import annotations

import logging
import re
import time
from ipaddress import IPv4Address, IPv6Network, ip_address

from django.core.cache import cache

from data_sync import conf
from data_sync.core.errors import DataSyncError

WINDOW_SECONDS = 60
REMEMBERED_SECONDS = 24 * 60 * 60
_REMEMBER_AGAIN_SECONDS = 60 * 60
_PREFIX = "data_sync:export"
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


def check(address: str, claimed: str) -> None:
    """Raises `TooManyFailures` where the address has had its share of this minute, and `claimed`, which is who the
    sender says to be, was not accepted from there within the last day."""
    now = time.time()
    failures, accepted = _failures(address, now), _accepted(address, claimed)
    try:
        found = cache.get_many([failures, accepted])
    except Exception as error:  # Whatever the client of a cache raises when that is down.
        _tell(error)
        return
    if found.get(failures, 0) >= conf.failure_limit() and not (claimed and accepted in found):
        raise TooManyFailures(max(1, WINDOW_SECONDS - int(now) % WINDOW_SECONDS))


def note_refused(address: str) -> None:
    """Counts a failure."""
    key = _failures(address, time.time())
    try:
        cache.add(key, 0, WINDOW_SECONDS)
        cache.incr(key)
    except Exception as error:  # ValueError, too: the minute has passed between the two.
        _tell(error)


def note_accepted(address: str, claimed: str) -> None:
    """Remembers for a day that this caller comes from here."""
    key, now = _accepted(address, claimed), int(time.time())
    try:
        if now - cache.get(key, 0) > _REMEMBER_AGAIN_SECONDS:
            cache.set(key, now, REMEMBERED_SECONDS)
    except Exception as error:
        _tell(error)


def _failures(address: str, now: float) -> str:
    return f"{_PREFIX}:failures:{_counted_as(address)}:{int(now) // WINDOW_SECONDS}"


def _accepted(address: str, claimed: str) -> str:
    return f"{_PREFIX}:accepted:{_counted_as(address)}:{claimed}"


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


def _tell(error: Exception) -> None:
    logger.warning("The cache cannot be used, so failures to give an export key are not counted: %r", error)
