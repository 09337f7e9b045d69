"""RELIABILITY 4: a source's URL leads to a public host over https, or where the settings say.

`test_ssrf` has the URLs that are refused.
"""

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


@pytest.mark.parametrize(("text", "stored"), GOOD)
def test_a_url_is_kept_in_one_form_without_end_slash(text: str, stored: str) -> None:
    assert str(parse_url(text)) == stored


def test_a_name_in_other_letters_is_to_be_written_in_ascii() -> None:
    with pytest.raises(InvalidInput, match="xn-- form"):
        parse_url("https://münchen.example")


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


METADATA = [
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1%2",
    "fe80::a9fe:a9fe",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fd00:c1::a9fe:a9fe",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    # The same in the clothes of IPv6: mapped, compatible, translated, by NAT64, 6to4 and Teredo.
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "::ffff:0:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::169.254.169.254",
    "2002:a9fe:a9fe::1",
    "2001:0:808:808::5601:5601",
]


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize(
    "entries", [["source.example"], ["0.0.0.0/0", "::/0"], ["source.example", "168.0.0.0/6", "fd00::/8", "fe80::/9"]]
)
def test_where_clouds_hand_out_credentials_no_name_leads_and_no_wide_network(
    address: str, entries: list[str], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.DATA_SYNC_ALLOWED_HOSTS = entries
    for answer in ([address], ["10.0.0.1", address]):
        answering(monkeypatch, *answer)
        for url in ("https://source.example", *(["http://source.example"] if "source.example" in entries else [])):
            with pytest.raises(AddressRefused, match="where clouds hand out the credentials of a machine"):
                resolve(parse_url(url))
    if "%" not in address:
        with pytest.raises(InvalidInput, match="where clouds hand out the credentials of a machine"):
            parse_url(f"https://[{address}]" if ":" in address else f"https://{address}")


@pytest.mark.parametrize(
    ("address", "entries"),
    [
        ("169.254.7.7", ["169.254.7.7"]),
        ("169.254.7.7", ["169.254.0.0/16"]),
        ("::ffff:169.254.7.7", ["169.254.7.0/24"]),
        ("64:ff9b::a9fe:707", ["169.254.7.0/24", "64:ff9b::/96"]),
        ("64:ff9b::a9fe:707", ["64:ff9b::a9fe:707"]),
        ("fe80::7", ["fe80::/10"]),
    ],
)
def test_a_network_of_such_addresses_alone_opens_them(
    address: str, entries: list[str], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.DATA_SYNC_ALLOWED_HOSTS = entries
    answering(monkeypatch, address)
    assert len(resolve(parse_url("https://source.example"))) == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.1", "100.100.100.201", "fd00::7", "64:ff9b::a00:1"])
def test_a_name_may_lead_to_any_other_private_address(
    address: str, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.DATA_SYNC_ALLOWED_HOSTS = ["source.example"]
    answering(monkeypatch, address)
    assert resolve(parse_url("http://source.example")) == [ipaddress.ip_address(address)]


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
