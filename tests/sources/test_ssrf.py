"""RELIABILITY 4: where a source's URL may lead. A table of URLs, and the connection that is made."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data_sync.core.errors import InvalidInput, SourceUnavailable
from data_sync.sources.addresses import AddressRefused, parse_url, resolve
from data_sync.sources.http import HttpSource, SourceFailed

from .hostile import Authority, Server, http, sends

KEY = "ds_canary.canarycanarycanarycanarycanarycanarycanary1"
MANIFEST = http("200 OK", b'{"format":"data-sync-manifest","protocol":1,"models":{}}')

LITERAL = "literal"
"""The address is written in the URL, and is seen to be none that a source may have."""
NOTATION = "notation"
"""An address in a notation that resolvers read each in its own way."""
PLAIN = "plain"
"""Plain http."""
FORM = "form"
"""Not of the form that a source's URL has."""
CLOUD = "cloud"
"""The same of where clouds hand out credentials, which no name opens either."""
NAME = "name"
"""A name like any other: what it resolves to is looked at."""
SAID = {
    LITERAL: "not a public address",
    CLOUD: "where clouds hand out",
    NOTATION: "four decimal numbers",
    PLAIN: "Plain http",
    FORM: "The URL|not a host's name|Leave the last two parts",
}

TABLE: list[tuple[str, str]] = [
    # This machine.
    ("https://127.0.0.1/", LITERAL),
    ("https://127.0.0.2:8443/api", LITERAL),
    ("https://127.255.255.254", LITERAL),
    ("https://0.0.0.0", LITERAL),
    ("https://0.1.2.3", LITERAL),
    ("https://[::1]", LITERAL),
    ("https://[::]", LITERAL),
    ("https://[0:0:0:0:0:0:0:1]", LITERAL),
    ("https://localhost", NAME),
    ("https://LOCALHOST:8443", NAME),
    ("https://localhost.localdomain", NAME),
    ("https://ip6-localhost", NAME),
    ("https://app.localhost", NAME),
    ("https://127.0.0.1.nip.example", NAME),
    # The same in other notations.
    ("https://2130706433", NOTATION),
    ("https://0x7f000001", NOTATION),
    ("https://0x7F.0x0.0x0.0x1", NOTATION),
    ("https://017700000001", NOTATION),
    ("https://0177.0.0.01", NOTATION),
    ("https://127.1", NOTATION),
    ("https://127.0.1", NOTATION),
    ("https://0", NOTATION),
    ("https://127.0.0.1.", FORM),
    ("https://127.0.0.0x1", NOTATION),
    ("https://00000000127.0.0.1", NOTATION),
    ("https://4294967297", NOTATION),
    ("https://127。0。0。1", FORM),
    ("https://①②⑦.⓪.⓪.①", FORM),
    ("https://١٢٧.٠.٠.١", FORM),
    ("https://%31%32%37.0.0.1", FORM),
    # An IPv4 address inside an IPv6 one.
    ("https://[::ffff:127.0.0.1]", LITERAL),
    ("https://[::ffff:7f00:1]", LITERAL),
    ("https://[::ffff:0:127.0.0.1]", LITERAL),
    ("https://[::127.0.0.1]", LITERAL),
    ("https://[::ffff:169.254.169.254]", CLOUD),
    ("https://[64:ff9b::127.0.0.1]", LITERAL),
    ("https://[64:ff9b::a9fe:a9fe]", CLOUD),
    ("https://[64:ff9b::8.8.8.8]", LITERAL),
    ("https://[64:ff9b:1::10.0.0.1]", LITERAL),
    ("https://[2002:7f00:1::]", LITERAL),
    ("https://[2002:0a00:0001::1]", LITERAL),
    ("https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]", LITERAL),
    ("https://192.88.99.1", LITERAL),
    # Private networks.
    ("https://10.0.0.1", LITERAL),
    ("https://172.16.0.1", LITERAL),
    ("https://172.31.255.255", LITERAL),
    ("https://192.168.0.1", LITERAL),
    ("https://100.64.0.1", LITERAL),
    ("https://100.127.255.254", LITERAL),
    ("https://[fc00::1]", LITERAL),
    ("https://[fd12:3456::1]", LITERAL),
    ("https://[fec0::1]", LITERAL),
    # Link-local, and what clouds answer there.
    ("https://169.254.0.1", CLOUD),
    ("https://169.254.169.254/latest/meta-data", CLOUD),
    ("https://169.254.170.2/v2/credentials", CLOUD),
    ("https://[fd00:ec2::254]", CLOUD),
    ("https://[fd20:ce::254]", CLOUD),
    ("https://100.100.100.200", CLOUD),
    ("https://192.0.0.192", CLOUD),
    ("https://[fe80::1]", CLOUD),
    ("https://[fe80::1%25eth0]", FORM),
    ("https://[fe80::1%eth0]", FORM),
    ("https://[2606:4700::1111%25lo]", FORM),
    ("https://metadata.google.internal", NAME),
    ("https://metadata", NAME),
    ("https://metadata.azure.internal", NAME),
    ("https://instance-data.ec2.internal", NAME),
    # Networks with a purpose of their own.
    ("https://192.0.0.1", LITERAL),
    ("https://192.0.2.1", LITERAL),
    ("https://198.51.100.1", LITERAL),
    ("https://203.0.113.1", LITERAL),
    ("https://198.18.0.1", LITERAL),
    ("https://198.19.255.254", LITERAL),
    ("https://224.0.0.1", LITERAL),
    ("https://239.255.255.250", LITERAL),
    ("https://240.0.0.1", LITERAL),
    ("https://255.255.255.255", LITERAL),
    ("https://[ff02::1]", LITERAL),
    ("https://[ff0e::1]", LITERAL),
    ("https://[2001:db8::1]", LITERAL),
    ("https://[2001:2::1]", LITERAL),
    ("https://[2001:10::1]", LITERAL),
    ("https://[100::1]", LITERAL),
    ("https://[3fff::1]", LITERAL),
    ("https://[4000::1]", LITERAL),
    # What hides where it leads.
    ("https://staging.example@127.0.0.1", FORM),
    ("https://127.0.0.1@staging.example", FORM),
    ("https://user:secret@staging.example", FORM),
    ("https://@staging.example", FORM),
    ("https://staging.example#@127.0.0.1", FORM),
    ("https://staging.example/#", FORM),
    ("https://staging.example?@127.0.0.1", FORM),
    ("https://staging.example\\@127.0.0.1", FORM),
    ("https://127.0.0.1\\.staging.example", FORM),
    ("https://staging.example%2f@127.0.0.1", FORM),
    ("https://staging.example%00.evil.example", FORM),
    ("https://staging.example\r\nHost: evil", FORM),
    ("https://staging\t.example", FORM),
    ("https://staging.example/\x00", FORM),
    ("https://staging.example/a b", FORM),
    ("https://stag\u00ading.example", FORM),
    ("https://ex\u0430mple.com", FORM),
    ("https://staging.example\uff0f127.0.0.1", FORM),
    ("https://staging.example/../admin", FORM),
    ("https://staging.example/%2e%2e/../x", FORM),
    ("https://staging..example", FORM),
    ("https://.staging.example", FORM),
    ("https://staging.example.", FORM),
    ("https://-staging.example", FORM),
    ("https://[staging.example]", FORM),
    ("https://[::1", FORM),
    ("https://::1", FORM),
    # Ports.
    ("https://staging.example:0", FORM),
    ("https://staging.example:65536", FORM),
    ("https://staging.example:-1", FORM),
    ("https://staging.example:4_43", FORM),
    ("https://staging.example:443:22", FORM),
    # Schemes.
    ("http://staging.example", PLAIN),
    ("http://8.8.8.8", PLAIN),
    ("http://localhost", PLAIN),
    ("ftp://staging.example", FORM),
    ("file:///etc/passwd", FORM),
    ("file://staging.example/etc/passwd", FORM),
    ("gopher://staging.example:70/_x", FORM),
    ("dict://staging.example:11211/stat", FORM),
    ("ldap://staging.example", FORM),
    ("jar:https://staging.example!/x", FORM),
    ("javascript:alert(1)", FORM),
    ("data:text/plain,x", FORM),
    ("unix:///var/run/docker.sock", FORM),
    ("https+unix://%2fvar%2frun%2fdocker.sock", FORM),
    ("//staging.example", FORM),
    ("https:staging.example", FORM),
    ("https:/staging.example", FORM),
    ("https:///staging.example", FORM),
    ("", FORM),
    # Prefixes that no urlpatterns have, and addresses that are none.
    ("staging.example.com", FORM),
    ("https://", FORM),
    ("https://staging.example.com:port", FORM),
    ("https://staging.example.com?key=1", FORM),
    ("https://staging.example.com/api?", FORM),
    ("https://staging.example.com/api#", FORM),
    ("https://staging.example.com/api\r\nX-Header: 1", FORM),
    ("https://staging.example.com/./api", FORM),
    ("https://staging.example.com//api", FORM),
    ("https://staging.example.com/data_sync/manifest", FORM),
    ("https://m\xfcnchen.example", FORM),
    ("https://0x7f.0.0.1", NOTATION),
    ("https://0177.0.0.1", NOTATION),
    ("https://1.2.3.4.5", NOTATION),
    ("https://256.1.1.1", NOTATION),
]


@pytest.mark.parametrize(("url", "outcome"), TABLE, ids=lambda value: ascii(value))
def test_each_url_of_the_table_has_its_outcome(url: str, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if outcome == NAME:
        for address in ("127.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "::ffff:10.0.0.1"):
            answers(monkeypatch, [address])
            with pytest.raises(AddressRefused, match=r"not public|where clouds hand out"):
                resolve(parse_url(url))
        return
    with pytest.raises(InvalidInput, match=SAID[outcome]):
        parse_url(url)


def test_the_table_has_more_than_60_urls_and_every_kind() -> None:
    assert len({url for url, _ in TABLE}) == len(TABLE) >= 60
    assert {outcome for _, outcome in TABLE} == {*SAID, NAME}


def test_every_network_that_is_not_the_public_internet_s_is_refused_at_both_ends() -> None:
    networks = (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
        "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 "
        "::/127 ::ffff:0:0/104 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 "
        "fc00::/7 fe80::/10 fec0::/10 ff00::/8"
    ).split()
    for network in map(ipaddress.ip_network, networks):
        for address in (network[0], network[-1]):
            host = f"[{address}]" if address.version == 6 else str(address)
            with pytest.raises(InvalidInput):
                parse_url(f"https://{host}")


def answers(monkeypatch: pytest.MonkeyPatch, *of_each_time: list[str]) -> list[str]:
    """Has names resolve to these addresses, the last of them for ever; gives the names that were asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: Any, *more: Any, **options: Any) -> Any:
        if host.replace(".", "").isdigit() or ":" in host:
            return real(host, port, *more, **options)
        asked.append(host)
        found = of_each_time[min(len(asked), len(of_each_time)) - 1]
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in found]
        return [(family, socket.SOCK_STREAM, 6, "", (at, port)) for family, at in zip(families, found, strict=True)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.fixture
def inside() -> Iterator[Server]:
    """A server that nobody may reach."""
    server = Server(sends(MANIFEST))
    yield server
    assert server.requests == []
    server.close()


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Where connections were made to."""
    places: list[Any] = []
    real = socket.socket.connect

    def connect(self: socket.socket, place: Any) -> None:
        places.append(place[:2])
        real(self, place)

    monkeypatch.setattr(socket.socket, "connect", connect)
    return places


def refusal(call: Callable[[], Any]) -> SourceFailed:
    with pytest.raises(SourceFailed) as raised:
        call()
    return raised.value


@pytest.mark.parametrize(
    "found",
    [
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["8.8.8.8", "2606:4700::1111", "::1"],
        ["8.8.8.8", "64:ff9b::7f00:1"],
        ["8.8.8.8", "0.0.0.0"],
    ],
)
def test_one_private_answer_among_public_ones_makes_no_connection(
    found: list[str], inside: Server, connected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, found)
    failed = refusal(HttpSource(f"https://source.example:{inside.port}", KEY).manifest)
    assert failed.stage == "address"
    assert connected == []


def test_the_connection_goes_to_the_address_that_was_checked_however_the_name_changes(
    tmp_path: Path, settings: Any, connected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """First 127.0.0.1, which the settings allow here, then another: it is never asked for, in any later request."""
    authority = Authority(tmp_path)
    settings.DATA_SYNC_CA_BUNDLE = authority.file
    settings.DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
    server = Server(sends(MANIFEST), authority.context("source.example"))
    asked = answers(monkeypatch, ["127.0.0.1"], ["127.0.0.3"])
    source = HttpSource(f"https://source.example:{server.port}", KEY)
    for _ in range(3):
        source.manifest()
    assert asked == ["source.example"]
    assert {place for place in connected} == {("127.0.0.1", server.port)}
    server.close()


def test_an_answer_that_turns_private_is_refused_by_the_next_pull(
    inside: Server, connected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    url = parse_url(f"https://source.example:{inside.port}")
    assert resolve(url) == [ipaddress.ip_address("8.8.8.8")]
    assert refusal(HttpSource(str(url), KEY).manifest).stage == "address"
    assert connected == []


@pytest.mark.parametrize("status", ["301", "302", "303", "307", "308", "300", "304", "399"])
@pytest.mark.parametrize("path", ["http://127.0.0.1:{port}/", "//127.0.0.1:{port}/", "http://localhost:{port}/"])
def test_a_redirect_to_this_machine_is_not_followed(
    status: str, path: str, inside: Server, settings: Any, connected: list[Any]
) -> None:
    settings.DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
    server = Server(sends(http(f"{status} Moved", Location=path.format(port=inside.port))))
    with pytest.raises(SourceUnavailable, match="redirects"):
        HttpSource(server.url, KEY).manifest()
    assert connected == [("127.0.0.1", server.port)]
    server.close()


def test_a_refresh_or_link_in_an_answer_leads_nowhere(inside: Server, settings: Any, connected: list[Any]) -> None:
    settings.DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
    body = MANIFEST.partition(b"\r\n\r\n")[2]
    link = f"<{inside.url}>; rel=next"
    server = Server(sends(http("200 OK", body, Refresh=f"0; url={inside.url}", Link=link, Location=inside.url)))
    HttpSource(server.url, KEY).manifest()
    assert connected == [("127.0.0.1", server.port)]
    server.close()
