"""Which URLs and addresses a source may have.

A source's URL is typed by a person and fetched by a server that may reach what that person may not.
So: https, a public address, and nothing that hides where the request goes. Private hosts, and plain
http, need `DATA_SYNC_ALLOWED_HOSTS`, or are this machine under DEBUG. Where clouds hand out credentials
no name leads: `metadata`.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

from data_sync import conf
from data_sync.core.errors import InvalidInput

from .metadata import Address, Network, leads_to_metadata

_HOST = re.compile(r"(?!-)[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*")
_METADATA = (
    "where clouds hand out the credentials of a machine, or that is link-local. No source is there; if one should be, "
    "add that address itself to DATA_SYNC_ALLOWED_HOSTS: neither a name nor a wider network is enough."
)
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
_SPECIAL = (
    ipaddress.ip_network("2002::/16"),  # 6to4: holds any IPv4 address, private ones too.
    ipaddress.ip_network("192.88.99.0/24"),  # The way into 6to4.
    # Of protocols, Teredo among them, and of documentation; some of it only later Pythons know to be no public address.
    ipaddress.ip_network("2001::/23"),
    ipaddress.ip_network("192.0.0.0/24"),
    ipaddress.ip_network("3fff::/20"),
)


class AddressRefused(Exception):
    """The host's address is one that sources may not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceUrl:
    """A checked URL: `host` in lower case, IPv6 without brackets; `path` "" or "/…", without end slash."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as in a `Host` header."""
        return _bracketed(self.host) + ("" if self.port == _default_port(self.scheme) else f":{self.port}")

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    def at(self, address: Address) -> str:
        """The same URL with the host as an address: where to connect to."""
        return f"{self.scheme}://{_bracketed(str(address))}:{self.port}{self.path}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_url(text: str) -> SourceUrl:
    """Reads a source's URL without resolving its host. Raises `InvalidInput` that says what to change."""
    text = text.strip()
    if not text.isascii() or not text.isprintable():
        raise InvalidInput("The URL has to be plain ASCII; write a name in other letters in its xn-- form.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidInput("The URL cannot be read. It looks like https://staging.example.com/api.") from None
    scheme, host = parts.scheme, parts.hostname or ""
    if scheme not in ("https", "http") or not host:
        raise InvalidInput("The URL begins with https:// and a host, as in https://staging.example.com/api.")
    if "@" in parts.netloc:
        raise InvalidInput("The URL must not hold a user name or password; the export key is given apart from it.")
    if "?" in text or "#" in text:
        raise InvalidInput("The URL must not hold ? or #: it is only the prefix that data_sync.urls is included under.")
    path = parts.path.rstrip("/")
    if _PATH.fullmatch(path) is None or any(part in (".", "..") for part in path.split("/")):
        raise InvalidInput("The URL's path has parts that a prefix in urlpatterns cannot have.")
    if path.endswith(("/data_sync/manifest", "/data_sync/export")):
        raise InvalidInput("Leave the last two parts, from data_sync on, out of the URL: they are added where needed.")
    _check_host(host)
    if port == 0:
        raise InvalidInput("The URL's port cannot be 0.")
    if scheme == "http" and not may_be_plain(host):
        raise InvalidInput(
            f"Plain http shows the export key and the rows to everyone on the way. Use https, or name {host} "
            f"in "
            "DATA_SYNC_ALLOWED_HOSTS (localhost is allowed while DEBUG is on)."
        )
    return SourceUrl(scheme=scheme, host=host, port=port or _default_port(scheme), path=path)


def may_be_plain(host: str) -> bool:
    """Whether http will do: for hosts that the settings name, and for this machine under DEBUG."""
    names, networks = _allowed()
    literal = _literal(host)
    in_network = literal is not None and any(literal in network for network in networks)
    return host in names or in_network or _is_local_under_debug(host)


def resolve(url: SourceUrl) -> list[Address]:
    """The addresses to connect to, each of them checked; connect to these, not to the name again.

    A name server may answer differently the next time. Raises `AddressRefused`, and `OSError` where
    the name has no address.
    """
    answers = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(_unmapped(str(answer[4][0])) for answer in answers))
    names, networks = _allowed()
    for address in addresses:
        if leads_to_metadata(address, networks):
            raise AddressRefused(f"{url.host} has the address {address}, {_METADATA}")
        if url.host in names or any(address in network for network in networks):
            continue
        if _is_local_under_debug(url.host) and address.is_loopback:
            continue
        if not is_public(address):
            raise AddressRefused(
                f"{url.host} has the address {address}, which is not public. If the source is meant to be "
                f"there, "
                f"add {url.host!r} to DATA_SYNC_ALLOWED_HOSTS."
            )
    return addresses


def is_public(address: Address) -> bool:
    """Whether the address is an ordinary one of the public internet.

    Stricter than `is_global`, which passes multicast, tunnels, and IPv6 forms that hold an IPv4 address.
    """
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST_V6:
        return False
    is_special = any(address in network for network in _SPECIAL)
    return address.is_global and not (address.is_multicast or address.is_reserved or is_special)


def _check_host(host: str) -> None:
    literal = None if "%" in host else _literal(host)
    if literal is None:
        if _HOST.fullmatch(host) is None:
            raise InvalidInput(f"{host!r} is not a host's name.")
        if re.fullmatch(r"0x[0-9a-f]*|[0-9]+", host.rpartition(".")[2]):
            # What resolvers take 2130706433, 0x7f.1 and 0177.0.0.1 for differs, and hides the address.
            raise InvalidInput(f"Write the address {host!r} as four decimal numbers without leading zeros.")
        return
    names, networks = _allowed()
    if leads_to_metadata(literal, networks):
        raise InvalidInput(f"{host} is an address {_METADATA}")
    allowed = host in names or any(literal in network for network in networks)
    if not (allowed or is_public(literal) or (_is_local_under_debug(host) and literal.is_loopback)):
        raise InvalidInput(
            f"{host} is not a public address. If the source is meant to be there, add it to DATA_SYNC_ALLOWED_HOSTS."
        )


def _allowed() -> tuple[set[str], list[Network]]:
    names: set[str] = set()
    networks: list[Network] = []
    for entry in conf.allowed_hosts():
        try:
            networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
        except ValueError:
            names.add(entry.lower())
    return names, networks


def _is_local_under_debug(host: str) -> bool:
    return bool(settings.DEBUG) and host in _LOCAL_NAMES


def _literal(host: str) -> Address | None:
    try:
        return _unmapped(host)
    except ValueError:
        return None


def _unmapped(text: str) -> Address:
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80
