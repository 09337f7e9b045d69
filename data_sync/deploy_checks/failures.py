"""Whether the limit of failed requests, which is counted in the default cache, limits anything."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Info, Warning

from .registering import deployment
from .transport import is_served


@deployment
def check_cache() -> Iterator[CheckMessage]:
    if not is_served():
        return
    match caches[DEFAULT_CACHE_ALIAS]:
        case DummyCache():
            yield Warning(
                "The default cache keeps nothing: DATA_SYNC_FAILURE_LIMIT, which is counted there, limits nobody.",
                hint="Give CACHES a default that all processes share, such as Redis or the database.",
                id="data_sync.W029",
            )
        case LocMemCache():
            yield Info(
                "The default cache is one for each process: DATA_SYNC_FAILURE_LIMIT, counted there, is so many "
                "failures in each.",
                hint="Where several processes answer, give CACHES a default that they share, such as Redis or the "
                "database.",
                id="data_sync.I004",
            )
