"""Whether `DATA_SYNC_ALLOWED_HOSTS` opens more than somebody who may add a source should reach."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TypeAlias

from django.core.checks import CheckMessage, Error, Warning

from data_sync import conf

from .registering import deployment

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

WIDEST = {4: 16, 6: 48}
"""Length of the shortest prefix that still is one site's network, by version."""
METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "instance-data", "metadata.azure.internal"})
METADATA = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16",  # Link-local (RFC 3927); 169.254.169.254 and .170.2 give credentials of the machine away.
        "fe80::/10",  # Link-local (RFC 4291).
        "fd00:ec2::254/128",  # Amazon, over IPv6.
        "100.100.100.200/32",  # Alibaba.
    )
)


@deployment
def check_allowed_hosts() -> Iterator[CheckMessage]:
    for entry in conf.allowed_hosts():
        network = _network(str(entry))
        if _reaches_metadata(str(entry), network):
            yield Error(
                f"DATA_SYNC_ALLOWED_HOSTS has {entry!r}, which lets sources be at addresses where clouds hand out the "
                "credentials of this machine.",
                hint="Name the hosts that sources are on, one by one.",
                id="data_sync.E047",
            )
        elif network is not None and network.prefixlen < WIDEST[network.version]:
            yield Warning(
                f"DATA_SYNC_ALLOWED_HOSTS has the network {entry!r} of {network.num_addresses:,} addresses: whoever "
                "may add a source can have this server send requests to each of them.",
                hint="Name the hosts that sources are on, or the smallest network that holds them.",
                id="data_sync.W015",
            )


def _network(entry: str) -> Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None


def _reaches_metadata(entry: str, network: Network | None) -> bool:
    if network is None:
        return entry.lower() in METADATA_NAMES
    return any(network.version == other.version and network.overlaps(other) for other in METADATA)
