"""In which order models are written: each after those that its rows refer to."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from data_sync.core.errors import RegistrationError
from data_sync.core.ordering import CycleError, in_dependency_order

from .schema import ModelSchema


def in_order(resolved: dict[str, ModelSchema]) -> dict[str, ModelSchema]:
    """The schemas, each after those it refers to. Raises `RegistrationError` for a cycle of required references.

    A nullable reference that would close a cycle is left out of account: it is written in a second phase.
    """
    needs = {label: dict.fromkeys(required_targets(schema)) for label, schema in resolved.items()}
    try:
        order = in_dependency_order(resolved, needs)
    except CycleError as error:
        raise RegistrationError(
            f"These models need each other: {error}. Make one of the references nullable.", "cycle"
        ) from None
    wanted = {label: optional_targets(schema) for label, schema in resolved.items()}
    # A generic foreign key may refer to rows of any model.
    generic = {label: order for label, schema in resolved.items() if schema.generics}
    for preferred in (wanted, generic):
        for label, targets in preferred.items():
            later = _dependents(label, needs)
            needs[label] |= dict.fromkeys(target for target in targets if target not in later)
    return {label: resolved[label] for label in in_dependency_order(order, needs)}


def _dependents(label: str, needs: Mapping[str, Collection[str]]) -> set[str]:
    """Those that need this one, and those that need them; itself among them."""
    needed_by: dict[str, list[str]] = {}
    for other, of_other in needs.items():
        for need in of_other:
            needed_by.setdefault(need, []).append(other)
    found, waiting = {label}, [label]
    while waiting:
        more = set(needed_by.get(waiting.pop(), ())) - found
        found |= more
        waiting += more
    return found


def required_targets(schema: ModelSchema) -> list[str]:
    """Labels of the models that a row cannot exist without, itself left out."""
    return [
        reference.target._meta.label_lower
        for reference in schema.references
        if not reference.field.null and reference.target is not schema.model
    ]


def optional_targets(schema: ModelSchema) -> list[str]:
    return [
        relation.target._meta.label_lower
        for relation in schema.relations
        if (relation.field.null or relation in schema.links) and relation.target is not schema.model
    ]
