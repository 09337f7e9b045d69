"""Whether `DATA_SYNC_ALLOWED_HOSTS` opens more than somebody who may add a source should reach."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from django.core.checks import CheckMessage, Error, Warning

from data_sync import conf
from data_sync.sources.metadata import Network, is_of_metadata

from .registering import deployment

WIDEST = {4: 16, 6: 48}
"""Length of the shortest prefix that still is one site's network, by version."""
METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "instance-data", "metadata.azure.internal"})


@deployment
def check_allowed_hosts() -> Iterator[CheckMessage]:
    for entry in conf.allowed_hosts():
        network = _network(str(entry))
        if _reaches_metadata(str(entry), network):
            yield Error(
                f"DATA_SYNC_ALLOWED_HOSTS has {entry!r}, which is where clouds hand out the credentials of a machine.",
                hint="Name the hosts that sources are on, one by one.",
                id="data_sync.E047",
            )
        elif network is not None and network.prefixlen < WIDEST[network.version]:
            is_everything = network.prefixlen == 0
            yield (Error if is_everything else Warning)(
                f"DATA_SYNC_ALLOWED_HOSTS has the network {entry!r} of {network.num_addresses:,} addresses: whoever "
                "may add a source can have this server send requests to each of them.",
                hint="Name the hosts that sources are on, or the smallest network that holds them.",
                id="data_sync.E047" if is_everything else "data_sync.W015",
            )


def _network(entry: str) -> Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None


def _reaches_metadata(entry: str, network: Network | None) -> bool:
    if network is None:
        return entry.lower() in METADATA_NAMES
    return is_of_metadata(network)
