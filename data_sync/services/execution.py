"""Writing a plan inside its transaction, and deleting no more than was shown."""

from __future__ import annotations

from data_sync.core.errors import StaleChangeset
from data_sync.orm.cascades import Cascade, Reach, reach_of
from data_sync.orm.write import Writer
from data_sync.orm.writes import delete_levels

from .plan import USING, Plan, Shown


def write_rows(plan: Plan) -> None:
    """Creates and updates in dependency order, then second phase, then deletes, children first."""
    writer = Writer(USING)
    for label, schema in plan.schemas.items():
        writer.create(schema, [write for write in plan.writes[label] if write.before is None])
        writer.update(schema, [write for write in plan.writes[label] if write.before is not None])
    writer.finish(plan.writes, plan.schemas)
    _check_reach(plan)
    for label, schema in reversed(plan.schemas.items()):
        deletes = {delete.pk: delete for delete in plan.deletes[label]}
        records = {pk: delete.before for pk, delete in deletes.items()}
        for level in delete_levels(schema, records):
            writer.delete(schema, {pk: deletes[pk].number for pk in level})


def _check_reach(plan: Plan) -> None:
    """Computes once more what the deletes take along: one row more than was shown, and nothing is written."""
    roots = {
        (schema.model, delete.pk): delete for label, schema in plan.schemas.items() for delete in plan.deletes[label]
    }
    stale = {}
    for root, reach in reach_of(roots, USING, locked=True).items():
        reason = _beyond(reach, roots[root].shown)
        if reason:
            stale[roots[root].number] = f"{roots[root].name}: {reason} Pull again."
    if stale:
        raise StaleChangeset(stale)


def _beyond(reach: Reach, shown: Shown) -> str:
    """What a delete would reach beyond what was shown, in words; "" if nothing."""

    def seen(cascade: Cascade) -> tuple[str, str, str, str]:
        return cascade.model._meta.label_lower, str(cascade.pk), cascade.effect, cascade.column

    more = [cascade for cascade in reach.cascades if seen(cascade) not in shown] + reach.obstacles
    if not more:
        return ""
    first = f"{more[0].model._meta.label_lower} {more[0].pk}"
    others = f" and {len(more) - 1} more" if len(more) > 1 else ""
    return f"deleting it would now also reach {first}{others}, which was not shown."
