"""Somebody who works at the admin by its pages: follows redirects, sends the forms that are there, keeps cookies."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import requests

SECONDS = 60
SILENT = {"input", "br", "meta", "link", "img", "hr", "col", "wbr", "source"}


@dataclass(slots=True)
class Button:
    name: str
    value: str
    words: str = ""


@dataclass(slots=True)
class Form:
    method: str
    action: str
    values: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[Button] = field(default_factory=list)


class Page(HTMLParser):
    """An answer, with what it says and its forms."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__()
        self.status = response.status_code
        self.url = response.url
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        self._link = ""
        self._words: list[str] = []
        self._inside: list[str] = []
        self._form: Form | None = None
        self._button: Button | None = None
        self.feed(response.text)
        self.words = " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in SILENT:
            self._inside.append(tag)
        if tag == "a":
            self._link = given.get("href", "")
        elif tag == "form":
            self._form = Form(given.get("method", "get").lower(), given.get("action", ""))
            self.forms.append(self._form)
        elif self._form is None:
            return
        elif tag == "button" and "hidden" not in given and given.get("type", "submit") == "submit":
            self._button = Button(given.get("name", ""), given.get("value", ""))
            self._form.buttons.append(self._button)
        elif tag == "input":
            self._take(self._form, given)

    def _take(self, form: Form, given: dict[str, str]) -> None:
        match given.get("type", "text"):
            case "submit":
                form.buttons.append(Button(given.get("name", ""), given.get("value", ""), given.get("value", "")))
            case "checkbox" | "radio" if "checked" not in given:
                pass
            case _ if "name" in given:
                form.values.append((given["name"], given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass
        if tag == "a":
            self._link = ""
        elif tag == "form":
            self._form = None
        elif tag == "button":
            self._button = None

    def handle_data(self, data: str) -> None:
        if self._inside and self._inside[-1] in ("script", "style"):
            return
        self._words.append(data)
        if self._link:
            self.links[data.strip()] = self._link
        if self._button is not None:
            self._button.words += data

    def form(self, words: str) -> tuple[Form, Button]:
        """The first form that has a button whose words begin so."""
        for form in self.forms:
            for button in form.buttons:
                if button.words.strip().startswith(words):
                    return form, button
        raise AssertionError(f"there is no button {words!r} at {self.url} ({self.status}): {self.words}")


class Person:
    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def log_in(self, name: str = "mira", password: str = "secret") -> Page:
        page = self.press(self.visit("/admin/login/?next=/admin/"), "Log in", username=name, password=password)
        assert page.status == 200 and page.url == f"{self.url}/admin/", page.words
        return page

    def visit(self, path: str) -> Page:
        return Page(self._session.get(urljoin(self.url, path), timeout=SECONDS))

    def follow(self, page: Page, words: str) -> Page:
        assert words in page.links, f"there is no link {words!r} at {page.url} ({page.status}): {page.words}"
        return self.visit(urljoin(page.url, page.links[words]))

    def see(self, path: str) -> Any:
        """An answer in JSON, as the script of a page asks for it."""
        answer = self._session.get(urljoin(self.url, path), headers={"Accept": "application/json"}, timeout=SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def press(self, page: Page, words: str, **values: str) -> Page:
        """Presses the button that begins with these words, with these values in its form."""
        form, button = page.form(words)
        sent = [(name, value) for name, value in form.values if name not in values]
        sent += [*values.items(), *([(button.name, button.value)] if button.name else [])]
        to = urljoin(page.url, form.action)
        headers = {"Referer": page.url}
        if form.method == "get":
            return Page(self._session.get(to, params=sent, headers=headers, timeout=SECONDS))
        return Page(self._session.post(to, data=sent, headers=headers, timeout=SECONDS))
