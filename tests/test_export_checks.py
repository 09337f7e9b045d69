"""System checks of who may read from here: each finds its fault, and none is found in sound settings."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks

from data_sync.checks import check_settings
from data_sync.export_checks import check_exports
from tests import google

pytestmark = pytest.mark.no_database


def found() -> set[str]:
    return {str(message.id).removeprefix("data_sync.") for message in check_exports()}


@pytest.fixture(autouse=True)
def sound(settings: Any) -> None:
    settings.DATA_SYNC_EXPORT_SERVICE_ACCOUNTS = [google.EMAIL]
    settings.DATA_SYNC_EXPORT_AUDIENCE = "https://staging.example.com/api"


@pytest.mark.parametrize(
    "accounts",
    [None, [], {}, [google.EMAIL], (google.EMAIL,), {google.EMAIL: ["testapp.Copy"]}, {google.EMAIL: None}],
)
def test_sound_settings_have_no_message(settings: Any, accounts: Any) -> None:
    settings.DATA_SYNC_EXPORT_SERVICE_ACCOUNTS = accounts
    settings.DATA_SYNC_PROXIES = 2
    assert found() == set()


def test_an_audience_is_needed_only_where_accounts_are_named(settings: Any) -> None:
    del settings.DATA_SYNC_EXPORT_AUDIENCE
    assert found() == {"E036"}
    settings.DATA_SYNC_EXPORT_SERVICE_ACCOUNTS = []
    assert found() == set()


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("DATA_SYNC_EXPORT_SERVICE_ACCOUNTS", google.EMAIL, "E035"),
        ("DATA_SYNC_EXPORT_SERVICE_ACCOUNTS", 7, "E035"),
        ("DATA_SYNC_EXPORT_SERVICE_ACCOUNTS", [7], "E035"),
        ("DATA_SYNC_EXPORT_SERVICE_ACCOUNTS", ["reader"], "E035"),
        ("DATA_SYNC_EXPORT_SERVICE_ACCOUNTS", ["a b@x.example"], "E035"),
        ("DATA_SYNC_EXPORT_SERVICE_ACCOUNTS", ["a" * 200 + "@x.example"], "E035"),
        ("DATA_SYNC_EXPORT_SERVICE_ACCOUNTS", {google.EMAIL: "testapp.copy"}, "E035"),
        ("DATA_SYNC_EXPORT_SERVICE_ACCOUNTS", {google.EMAIL: ["testapp.nothing"]}, "E037"),
        ("DATA_SYNC_EXPORT_SERVICE_ACCOUNTS", {google.EMAIL: []}, "E037"),
        ("DATA_SYNC_EXPORT_AUDIENCE", " ", "E036"),
        ("DATA_SYNC_PROXIES", -1, "E020"),
        ("DATA_SYNC_PROXIES", "one", "E020"),
    ],
)
def test_each_fault_is_found(settings: Any, name: str, value: Any, number: str) -> None:
    setattr(settings, name, value)
    assert found() == {number}
    assert f"data_sync.{number}" in {message.id for message in run_checks(tags=["data_sync"])}


@pytest.mark.parametrize("value", [0, -1, "many", None])
def test_the_limit_of_failures_is_a_number_above_0(settings: Any, value: Any) -> None:
    settings.DATA_SYNC_FAILURE_LIMIT = value
    assert [message.id for message in check_settings()] == ["data_sync.E020"]
