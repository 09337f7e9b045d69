"""What a registration refuses at once: words that cannot be right for any model, told by the model's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import data_sync
from data_sync import registry
from data_sync.core.errors import RegistrationError
from tests.testapp.models import Tag

pytestmark = pytest.mark.no_database

WITHOUT_KEY: dict[str, Callable[[Any], Any]] = {
    "with empty parentheses": lambda model: data_sync.register_model()(model),
    "with other options": lambda model: data_sync.register_model(exclude=["name"])(model),
    "with no key": lambda model: data_sync.register_model(natural_key=None)(model),
    "with an empty key": lambda model: data_sync.register_model(natural_key=[])(model),
}


@pytest.fixture
def unregistered(monkeypatch: pytest.MonkeyPatch) -> type[Tag]:
    known = {model: kept for model, kept in registry._registrations.items() if model is not Tag}
    monkeypatch.setattr(registry, "_registrations", known)
    return Tag


@pytest.mark.parametrize("how", WITHOUT_KEY.values(), ids=list(WITHOUT_KEY))
def test_the_natural_key_may_be_left_out(how: Callable[[Any], Any], unregistered: type[Tag]) -> None:
    how(unregistered)
    registration = registry.registration_of(unregistered)
    assert registration is not None and registration.natural_key == ()


def test_without_parentheses_the_model_is_named_and_the_right_form_shown(unregistered: type[Tag]) -> None:
    with pytest.raises(RegistrationError) as raised:
        data_sync.register_model(unregistered)
    assert "testapp.Tag" in str(raised.value)
    assert '@data_sync.register_model(natural_key=["code"])' in str(raised.value)
    assert registry.registration_of(unregistered) is None


@pytest.mark.parametrize(("option", "value"), [("save", "fast"), ("save", None), ("deletes", "always")])
def test_an_option_with_a_word_that_it_does_not_know_is_refused(
    option: str, value: Any, unregistered: type[Tag]
) -> None:
    with pytest.raises(RegistrationError, match=rf"testapp\.Tag: {option} is .* not {value!r}"):
        data_sync.register(unregistered, **{option: value})
    assert registry.registration_of(unregistered) is None


def test_how_rows_are_saved_can_be_said(unregistered: type[Tag]) -> None:
    data_sync.register(unregistered, save="model")
    registration = registry.registration_of(unregistered)
    assert registration is not None and registration.save == "model"


def test_options_are_taken_by_name(unregistered: type[Tag]) -> None:
    with pytest.raises(RegistrationError, match="takes its options by name"):
        data_sync.register_model(["name"])


def test_the_decorator_gives_the_model_back(unregistered: type[Tag]) -> None:
    assert data_sync.register_model(natural_key=["name"])(unregistered) is unregistered
    assert registry.registration_of(unregistered) is not None


def test_a_model_is_registered_once() -> None:
    with pytest.raises(RegistrationError, match=r"testapp\.Tag is registered twice"):
        data_sync.register(Tag, natural_key=["name"])
