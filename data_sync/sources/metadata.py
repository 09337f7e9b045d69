"""Addresses where clouds hand out the credentials of the machine that asks, and those that lead there.

No source is at one of them, and a name in `DATA_SYNC_ALLOWED_HOSTS` says nothing of where its name server will lead
tomorrow. So a name opens none of them, nor does a network that holds them among others: only one of nothing else.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

METADATA: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16",  # Link-local (RFC 3927): 169.254.169.254 of nearly all clouds, .170.2 of Amazon's containers.
        "fe80::/10",  # Link-local (RFC 4291): fe80::a9fe:a9fe of OpenStack.
        "fd00:ec2::/32",  # Amazon over IPv6, fd00:ec2::254 and that of its containers, fd00:ec2::23.
        "fd20:ce::254/128",  # Google over IPv6.
        "fd00:c1::a9fe:a9fe/128",  # Oracle over IPv6.
        "100.100.100.200/32",  # Alibaba.
        "168.63.129.16/32",  # Azure, an address that looks like any public one.
        "192.0.0.192/32",  # Oracle.
    )
)
_END_IN_IPV4 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "::/96",  # IPv4-compatible (RFC 4291, section 2.5.5.1).
        "::ffff:0:0/96",  # IPv4-mapped.
        "::ffff:0:0:0/96",  # IPv4-translated (RFC 2765).
        "64:ff9b::/96",  # NAT64 (RFC 6052).
        "64:ff9b:1::/48",  # NAT64 of one network (RFC 8215), as /96.
    )
)


def leads_to_metadata(address: Address, networks: Iterable[Network]) -> bool:
    """Whether the address is, or holds, one that clouds hand out credentials at, and none of these `networks` is of
    such addresses alone and has it."""
    named = [network for network in networks if is_of_metadata(network)]
    if _is_in(address, named):
        return False
    return any(_is_in(one, METADATA) and not _is_in(one, named) for one in _meant(address))


def is_of_metadata(network: Network) -> bool:
    """Whether a network is of such addresses alone."""
    if network.num_addresses == 1 and any(_is_in(one, METADATA) for one in _meant(network.network_address)):
        return True
    return any(_is_within(network, refused) for refused in METADATA)


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _is_within(network: Network, other: Network) -> bool:
    return (
        network.version == other.version and network.network_address in other and network.prefixlen >= other.prefixlen
    )


def _meant(address: Address) -> Iterator[Address]:
    """The address, and each of version 4 that gateways and tunnels would take out of it."""
    yield address
    if isinstance(address, ipaddress.IPv4Address):
        return
    if any(address in network for network in _END_IN_IPV4):
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour is not None:
        yield address.sixtofour
    yield from address.teredo or ()
