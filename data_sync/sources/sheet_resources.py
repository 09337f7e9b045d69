"""What of a project's own `ModelResource` (django-import-export) reads a sheet: names of columns, and cleaning.

Its `import_data` is not used, as it saves row by row: what a sheet would change is reviewed first. Of references, keys
are read and looked up together; a `ForeignKeyWidget` would ask the database for each cell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.module_loading import import_string

from data_sync.core.errors import RegistrationError
from data_sync.orm.schema import ModelSchema

Prepare = Callable[[dict[str, Any], int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """`aliases`: the headers it gives, with what each stands for. `ignored`: columns that are only exported. `cleans`:
    by name of the field, what reads its cells. `prepare`: `before_import_row`, where it has one of its own."""

    aliases: Mapping[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    cleans: Mapping[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    prepare: Prepare | None = None

    def prepared(self, headers: Sequence[str], cells: Sequence[Any], number: int) -> Sequence[Any]:
        """The cells of a row as `before_import_row` leaves them. Raises `ValueError` for a row that it refuses."""
        if self.prepare is None:
            return cells
        row = dict(zip(headers, [*cells, *[None] * (len(headers) - len(cells))], strict=False))
        try:
            self.prepare(row, number)
        except Exception as error:
            raise ValueError(f"is refused by the resource: {str(error)[:200]}") from error
        return [row.get(header) for header in headers]


def resource_of(schema: ModelSchema) -> Resource:
    """Raises `RegistrationError` where the registration names what is no `ModelResource` of the model."""
    path = schema.registration.resource
    if not path:
        return Resource()
    given = _class_of(schema, path)()
    aliases: dict[str, str] = {}
    ignored: set[str] = set()
    cleans: dict[str, Any] = {}
    key = {".".join(part.path) for part in schema.key}  # Read all the same: it says which row is meant.
    columns = {value.name for value in (*schema.values, *schema.carried)}
    for name, one in given.fields.items():
        header, attribute = str(one.column_name or name), str(one.attribute or name)
        if one.readonly and attribute.replace("__", ".") not in key:
            ignored.add(header)
            continue
        aliases[header] = attribute.replace("__", ".")
        if attribute in columns and _is_its_own(given, attribute, one):
            cleans[attribute] = one.clean
    return Resource(aliases=aliases, ignored=frozenset(ignored), cleans=cleans, prepare=_prepare(given))


def _class_of(schema: ModelSchema, path: str) -> Any:
    from import_export.resources import ModelResource

    try:
        found = import_string(path)
    except ImportError as error:
        raise RegistrationError(
            f"{schema.label}: the resource {path!r} cannot be imported: {error}.", "resource"
        ) from error
    is_resource = isinstance(found, type) and issubclass(found, ModelResource)
    if not is_resource or getattr(found, "_meta").model is not schema.model:  # noqa: B009
        raise RegistrationError(f"{schema.label}: {path!r} is no ModelResource of that model.", "resource")
    return found


def _is_its_own(resource: Any, name: str, one: Any) -> bool:
    """Whether a field reads otherwise than the one that the library makes for the model's: those are not used, as they
    take any word for false, and 1.5 for 1."""
    usual = type(resource).field_from_django_field(name, resource._meta.model._meta.get_field(name), False)
    return (
        type(one).clean is not type(usual).clean
        or type(one.widget) is not type(usual.widget)
        or vars(one.widget) != vars(usual.widget)
        or one.default != usual.default
    )


def _prepare(resource: Any) -> Prepare | None:
    from import_export.resources import Resource as Base

    if type(resource).before_import_row is Base.before_import_row:
        return None

    def prepare(row: dict[str, Any], number: int) -> None:
        resource.before_import_row(row, row_number=number)

    return prepare
