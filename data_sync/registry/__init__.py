"""Which models are synced, and how.

`data_sync.register_model` decorates a model, `data_sync.register` takes any model, also one of
another package, from an `AppConfig.ready()`. Only the words are kept here; `orm.resolution` checks
them against the model, and the system checks report what does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from data_sync.core.errors import RegistrationError

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet

ModelType = TypeVar("ModelType", bound="type[Model]")
Deletes = Literal["propose", "never"]
Save = Literal["raw", "model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """How one model is synced.

    `natural_key` is as it was given, empty where it was left out; `key` is what to use. `fields` None
    means every concrete field and many-to-many but a plain primary key and files. `queryset` narrows
    the rows in scope, on both sides. `deletes="never"` keeps local rows that the source lacks.
    `save="model"` writes by `Model.save()`. `redact` names fields that are synced, but shown nowhere. `resource` is the
    dotted path of a `ModelResource` (django-import-export) that names and cleans columns of spreadsheets.
    """

    model: type[Model]
    natural_key: tuple[str, ...] = ()
    fields: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    file_fields: tuple[str, ...] = ()
    queryset: Callable[[QuerySet[Any]], QuerySet[Any]] | None = None
    redact: tuple[str, ...] = ()
    deletes: Deletes = "propose"
    save: Save = "raw"
    allow_sensitive: tuple[str, ...] = ()
    resource: str = ""

    @property
    def label(self) -> str:
        """`app_label.modelname`, lower case: the model's name in records, URLs and JSON."""
        return self.model._meta.label_lower

    @property
    def key(self) -> tuple[str, ...]:
        """The natural key: one path per part, dots reach through foreign keys.

        Needs every model to be loaded, because a key that was left out is inferred. Raises
        `RegistrationError` where it cannot be.
        """
        from .natural_keys import key_of

        return key_of(self)


_registrations: dict[type[Model], Registration] = {}
_ordered: tuple[tuple[Registration, ...], tuple[Registration, ...]] = ((), ())
_EXAMPLE = '@data_sync.register_model(natural_key=["code"])'


def register(
    model: type[Model],
    *,
    natural_key: Iterable[str] | None = None,
    fields: Iterable[str] | None = None,
    exclude: Iterable[str] = (),
    file_fields: Iterable[str] = (),
    queryset: Callable[[QuerySet[Any]], QuerySet[Any]] | None = None,
    redact: Iterable[str] = (),
    deletes: Deletes = "propose",
    save: Save = "raw",
    allow_sensitive: Iterable[str] = (),
    resource: str = "",
) -> None:
    """Registers a model for syncing.

    `natural_key` may be left out where one unique constraint determines it. `queryset` takes the
    model's unfiltered query set and returns the rows in scope. `redact` names the fields that are compared and written,
    but shown and exported nowhere. `save="model"` writes by
    `Model.save()`, row by row. `allow_sensitive` names the fields (or "model") that may be synced
    although their names look secret. `resource` is the dotted path of a `ModelResource` of the model, as
    "shop.resources.CopyResource", for its spreadsheets. Raises `RegistrationError` for words that cannot be right for
    any model.
    """
    if model in _registrations:
        raise RegistrationError(f"{model._meta.label} is registered twice; remove one of the registrations.")
    if deletes not in ("propose", "never"):
        raise RegistrationError(f'{model._meta.label}: deletes is "propose" or "never", not {deletes!r}.')
    if save not in ("raw", "model"):
        raise RegistrationError(f'{model._meta.label}: save is "raw" or "model", not {save!r}.')
    _registrations[model] = Registration(
        model=model,
        natural_key=_names(model, "natural_key", () if natural_key is None else natural_key),
        fields=None if fields is None else _names(model, "fields", fields),
        exclude=_names(model, "exclude", exclude),
        file_fields=_names(model, "file_fields", file_fields),
        queryset=queryset,
        redact=_names(model, "redact", redact),
        deletes=deletes,
        save=save,
        allow_sensitive=_names(model, "allow_sensitive", allow_sensitive),
        resource=resource,
    )


def register_model(*misused: Any, **options: Any) -> Callable[[ModelType], ModelType]:
    """Class decorator form of `register`, with the same options. Raises `RegistrationError` without parentheses."""
    if misused:
        what = misused[0]._meta.label if hasattr(misused[0], "_meta") else repr(misused[0])
        raise RegistrationError(f"{what}: register_model takes its options by name: {_EXAMPLE}")

    def decorate(model: ModelType) -> ModelType:
        register(model, **options)
        return model

    return decorate


def registrations() -> tuple[Registration, ...]:
    """Every registration, ordered by label; the same tuple as long as they are the same."""
    global _ordered
    present = tuple(_registrations.values())
    if present != _ordered[0]:
        _ordered = present, tuple(sorted(present, key=lambda registration: registration.label))
    return _ordered[1]


def registration_of(model: type[Model]) -> Registration | None:
    """The registration of a model's table: its own, that of the model behind a proxy, or that of a proxy."""
    found = _registrations.get(model) or _registrations.get(model._meta.concrete_model or model)
    if found is not None or model._meta.concrete_model is None:
        return found
    of_table = (other for other in _registrations if other._meta.concrete_model is model._meta.concrete_model)
    return next((_registrations[other] for other in of_table), None)


def registered_twice(model: type[Model]) -> type[Model] | None:
    """Another registered model of the same table: one and its proxy, or two proxies."""
    same = (other for other in _registrations if other._meta.concrete_model is model._meta.concrete_model)
    return next((other for other in same if other is not model), None)


def unregister(model: type[Model]) -> None:
    """Takes a registration back, for a project that overrides another package's."""
    _registrations.pop(model, None)


def _names(model: type[Model], option: str, value: Iterable[str]) -> tuple[str, ...]:
    names = tuple(value) if not isinstance(value, str) else ()
    if isinstance(value, str) or not all(isinstance(name, str) and name for name in names):
        raise RegistrationError(f"{model._meta.label}: {option} is a list of field names, not {value!r}.")
    return names
