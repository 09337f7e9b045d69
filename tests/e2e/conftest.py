"""A person at a browser: logged in, with everything the browser complained about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page

from tests.admin import making


class Person:
    """Somebody with permissions, at a page of the admin."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.location["url"].endswith("/favicon.ico"):
            self.complaints.append(message.text)

    def log_in(self, name: str = "mira") -> None:
        self.page.goto(f"{self.base}/admin/login/")
        self.page.fill("#id_username", name)
        self.page.fill("#id_password", "secret")
        with self.page.expect_navigation():
            self.page.press("#id_password", "Enter")

    def visit(self, path: str) -> None:
        self.page.goto(f"{self.base}/admin/data_sync/{path}")


@pytest.fixture
def arrive(new_context: Callable[..., BrowserContext], live_server: Any) -> Iterator[Callable[..., Person]]:
    """Opens a browser of its own for somebody; at the end, no browser may have complained."""
    people: list[Person] = []

    def open_browser(name: str = "mira", permissions: tuple[str, ...] = ("*",), **options: Any) -> Person:
        from django.contrib.auth import get_user_model

        if not get_user_model().objects.filter(username=name).exists():
            making.user(name, *permissions)
        context = new_context(**options)
        # Far below pytest's own limit, so that what is waited for in vain is named.
        context.set_default_timeout(10_000)
        person = Person(context.new_page(), live_server.url)
        person.log_in(name)
        people.append(person)
        return person

    yield open_browser
    assert [complaint for person in people for complaint in person.complaints] == []
