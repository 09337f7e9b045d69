"""RELIABILITY 4: a source's URL leads to a public host over https, or where the settings say."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from data_sync.core.errors import InvalidInput
from data_sync.sources import addresses
from data_sync.sources.addresses import AddressRefused, is_public, parse_url, resolve

GOOD = [
    ("https://staging.example.com", "https://staging.example.com"),
    ("https://staging.example.com/", "https://staging.example.com"),
    ("https://staging.example.com/api/", "https://staging.example.com/api"),
    (" https://Staging.Example.com:443/api/v1// ", "https://staging.example.com/api/v1"),
    ("https://staging.example.com:8443/api", "https://staging.example.com:8443/api"),
    ("HTTPS://xn--mnchen-3ya.example", "https://xn--mnchen-3ya.example"),
    ("https://8.8.8.8/api", "https://8.8.8.8/api"),
    ("https://[2606:4700::1111]:444/api", "https://[2606:4700::1111]:444/api"),
    ("https://example.com/data_sync", "https://example.com/data_sync"),
]

BAD = [
    # Not a URL, or not one to be fetched.
    "",
    "staging.example.com",
    "//staging.example.com",
    "https://",
    "https:///api",
    "ftp://staging.example.com",
    "file:///etc/passwd",
    "gopher://staging.example.com",
    "javascript:alert(1)",
    "https://staging.example.com:99999",
    "https://staging.example.com:0",
    "https://staging.example.com:port",
    "https://[::1",
    # What hides where it leads.
    "https://user@staging.example.com",
    "https://user:secret@staging.example.com",
    "https://@staging.example.com",
    "https://staging.example.com?key=1",
    "https://staging.example.com/api?",
    "https://staging.example.com/#fragment",
    "https://staging.example.com/api#",
    "https://staging.example.com\\@evil.example",
    "https://staging.example.com /api",
    "https://staging.example.com/a b",
    "https://staging.example.com/api\r\nX-Header: 1",
    "https://staging.example.com/api/../admin",
    "https://staging.example.com/./api",
    "https://staging.example.com//api",
    "https://staging.example.com/data_sync/manifest",
    "https://münchen.example",
    "https://ex\u0430mple.com",  # A Cyrillic letter.
    "https://-staging.example.com",
    "https://staging..example.com",
    "https://staging.example.com%00.evil.example",
    # Plain http.
    "http://staging.example.com",
    "http://8.8.8.8",
    "http://localhost:8000",
    # Addresses that are not public, in every notation.
    "https://127.0.0.1",
    "https://127.8.8.8",
    "https://0.0.0.0",
    "https://10.0.0.1",
    "https://172.16.0.1",
    "https://192.168.1.1",
    "https://169.254.169.254/latest/meta-data",
    "https://100.64.0.1",
    "https://224.0.0.1",
    "https://239.255.255.250",
    "https://255.255.255.255",
    "https://192.0.2.1",
    "https://198.18.0.1",
    "https://2130706433",
    "https://0x7f000001",
    "https://0x7f.0.0.1",
    "https://0177.0.0.1",
    "https://017700000001",
    "https://127.1",
    "https://1.2.3.4.5",
    "https://256.1.1.1",
    "https://[::1]",
    "https://[::]",
    "https://[::ffff:127.0.0.1]",
    "https://[::ffff:169.254.169.254]",
    "https://[::127.0.0.1]",
    "https://[fe80::1]",
    "https://[fe80::1%25eth0]",
    "https://[2606:4700::1111%25eth0]",
    "https://[fc00::1]",
    "https://[fec0::1]",
    "https://[ff02::1]",
    "https://[64:ff9b::7f00:1]",
    "https://[64:ff9b:1::7f00:1]",
    "https://[2002:7f00:1::]",
    "https://[2001:0:7f00:1::]",
    "https://[2001:db8::1]",
]


@pytest.mark.parametrize(("text", "stored"), GOOD)
def test_a_url_is_kept_in_one_form_without_end_slash(text: str, stored: str) -> None:
    assert str(parse_url(text)) == stored


@pytest.mark.parametrize("text", BAD)
def test_a_url_that_hides_or_leads_inside_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_url(text)
    assert str(refused.value).endswith((".", "DEBUG is on)."))


def test_a_name_in_other_letters_is_to_be_written_in_ascii() -> None:
    with pytest.raises(InvalidInput, match="xn-- form"):
        parse_url("https://münchen.example")


def test_there_are_60_refused_urls() -> None:
    assert len(set(BAD)) >= 60


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("http://10.1.2.3:8000", "10.0.0.0/8"),
        ("http://10.1.2.3", "10.1.2.3"),
        ("http://intranet.example", "intranet.example"),
        ("http://INTRANET.example", "Intranet.Example"),
        ("https://[fd00::5]", "fd00::/8"),
        ("https://[64:ff9b::808:808]", "64:ff9b::/96"),
        ("http://[::1]:8000", "[::1]"),
    ],
)
def test_allowed_hosts_lets_a_private_host_and_plain_http_through(url: str, entry: str, settings: Any) -> None:
    with pytest.raises(InvalidInput):
        parse_url(url)
    settings.DATA_SYNC_ALLOWED_HOSTS = [entry]
    parse_url(url)


@pytest.mark.parametrize("url", ["http://localhost:8000/api", "http://127.0.0.1:8000", "http://[::1]:8000"])
def test_debug_lets_this_machine_through_and_nothing_else(url: str, settings: Any) -> None:
    settings.DEBUG = True
    parse_url(url)
    for other in ("http://staging.example.com", "http://127.0.0.2", "https://10.0.0.1"):
        with pytest.raises(InvalidInput):
            parse_url(other)


def answering(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)


def test_a_name_with_public_addresses_gives_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "8.8.8.8", "2606:4700::1111", "8.8.8.8")
    found = resolve(parse_url("https://source.example"))
    assert found == [ipaddress.ip_address("8.8.8.8"), ipaddress.ip_address("2606:4700::1111")]


@pytest.mark.parametrize(
    "inside",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fe80::1%2", "64:ff9b::a00:1"],
)
def test_one_private_address_among_public_ones_refuses_the_name(inside: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "8.8.8.8", inside)
    with pytest.raises(AddressRefused, match=r"source\.example has the address .*DATA_SYNC_ALLOWED_HOSTS"):
        resolve(parse_url("https://source.example"))


def test_a_name_or_network_in_the_settings_may_be_private(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    for answer in ("10.0.0.1", "::ffff:10.0.0.1"):
        answering(monkeypatch, answer)
        for entry in ("source.example", "10.0.0.0/24"):
            settings.DATA_SYNC_ALLOWED_HOSTS = [entry]
            assert resolve(parse_url("https://source.example")) == [ipaddress.ip_address("10.0.0.1")]
    settings.DATA_SYNC_ALLOWED_HOSTS = ["other.example", "10.0.1.0/24"]
    with pytest.raises(AddressRefused):
        resolve(parse_url("https://source.example"))


def test_localhost_under_debug_must_be_this_machine(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.DEBUG = True
    answering(monkeypatch, "10.0.0.1")
    with pytest.raises(AddressRefused):
        resolve(parse_url("http://localhost"))


@pytest.mark.parametrize(
    "address", ["224.0.0.1", "192.88.99.1", "2002:808:808::1", "64:ff9b::808:808", "::8.8.8.8", "ff0e::1"]
)
def test_what_is_global_passes_but_reaches_elsewhere_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
