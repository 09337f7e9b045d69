"""`accept`, `reject`, `approve`, `override`: what a person decides."""

from __future__ import annotations

from functools import partial

from django.db import transaction

from data_sync.core.errors import InvalidInput, InvalidTransition, NotAcknowledged, RequirementRejected
from data_sync.core.states import ChangesetState, Decision, Operation, RenameChoice
from data_sync.models import Changeset
from data_sync.services import approval, review
from data_sync.services.document import override_document
from data_sync.services.review import Decided, Selection

from ..text.words import count, line, listing
from .call import Answer, Call, Verbs, changeset_of, number
from .pulls import guard_lines
from .selection import add_filters, require_changes, selection_of
from .show import decisions_text


def add_verbs(verbs: Verbs) -> None:
    for name, decision, what in (
        ("accept", Decision.ACCEPTED, "Accept changes of a changeset"),
        ("reject", Decision.REJECTED, "Reject changes of a changeset"),
    ):
        verb = verbs.add(name, partial(decide, decision), what)
        verb.add_argument("changeset", type=number, metavar="CS", help="the changeset's number")
        which = verb.add_mutually_exclusive_group(required=True)
        which.add_argument(
            "--all", action="store_true", help="all undecided, within the other options; deletes, renames too"
        )
        which.add_argument("--change", type=number, nargs="+", action="extend", metavar="N", help="these changes")
        add_filters(verb)
        if decision is Decision.ACCEPTED:
            verb.add_argument(
                "--acknowledge", action="store_true", help="conflicts among them: what was changed here was seen"
            )
            verb.add_argument(
                "--seen", metavar="DIGEST", help="with --acknowledge, of a row that was edited after the pull: see show"
            )
            verb.add_argument(
                "--with-requirements", dest="together", action="store_true", help="accept what they need, too"
            )
            verb.add_argument(
                "--replace", action="store_true", help="renames among them: delete the row and add a new one"
            )
            verb.add_argument(
                "--keep",
                nargs="*",
                action="extend",
                metavar="FIELD",
                help="of one update: fields and files that stay as they are here; none: take all again",
            )
        else:
            verb.add_argument(
                "--with-dependents", dest="together", action="store_true", help="reject what needs them, too"
            )
    approve = verbs.add("approve", approve_changeset, "Approve the decisions on a changeset as they stand")
    approve.add_argument("changeset", type=number, metavar="CS", help="the changeset's number")
    override = verbs.add("override", override_guards, "Let a blocked changeset through its guards")
    override.add_argument("changeset", type=number, metavar="CS", help="the changeset's number")
    override.add_argument("--reason", required=True, metavar="TEXT", help="why; kept with the changeset")


def decide(decision: Decision, call: Call) -> Answer:
    call.actor.require("data_sync.approve_changeset")
    changeset = changeset_of(call)
    selection = selection_of(call)
    require_changes(changeset, selection)
    if decision is Decision.ACCEPTED:
        _require_acceptable(changeset, selection)
    if call.options.get("keep") is not None and len(selection.numbers or ()) != 1:
        raise InvalidInput("--keep is about one update: name it with --change N.")
    try:
        decided = _decide_all(changeset, selection, decision, call)
    except RequirementRejected as error:
        raise InvalidTransition(f"{error} To decide on all of them at once: {_together(decision)}") from None
    except NotAcknowledged as error:
        how = f"--acknowledge --seen {error.digest}" if error.digest else "--acknowledge"
        raise InvalidTransition(f"{error} Then accept it with {how}.") from None
    changeset.refresh_from_db()
    left_out = decided.skipped_problems
    text = [f"{decision.capitalize()} {count(decided.count, 'change')} of changeset {changeset.pk}."]
    if left_out:
        text.append(f"{count(left_out, 'change')} left out because of problems: data_sync show {changeset.pk}")
    if decided.also_decided:
        also = listing([f"#{number}" for number in decided.also_decided], 10)
        text.append(f"With them, because they belong together: {also}")
    if decided.skipped_conflicts:
        conflicts = count(decided.skipped_conflicts, "conflict")
        text.append(f"{conflicts} left out; look, and accept each by name: --change N --acknowledge")
    if decided.skipped_requirements:
        unmet = count(decided.skipped_requirements, "change")
        text.append(f"{unmet} left out, because of others that are decided differently; see {_together(decision)}")
    if decided.skipped_decided:
        kept = count(decided.skipped_decided, "change")
        text.append(f"{kept} left as decided before; to decide anew, name them: --change N")
    text.append(f"Now: {decisions_text(changeset)}.")
    return Answer(
        document={
            "changeset": changeset.pk,
            "state": changeset.state,
            "revision": changeset.revision,
            "decided": decided.count,
            "also_decided": list(decided.also_decided),
            "left_out": left_out,
            "requirements_left_out": decided.skipped_requirements,
            "conflicts_left_out": decided.skipped_conflicts,
            "left_as_decided": decided.skipped_decided,
            "decisions": review.decision_counts(changeset),
        },
        text=text,
    )


def _decide_all(changeset: Changeset, selection: Selection, decision: Decision, call: Call) -> Decided:
    """Decides, deletes and renames included: whoever types --all has said so. `services.review` leaves deletes out of a
    selection unless they are what is selected, hence a second decision, in the same transaction. Renames it takes in,
    as it is told how to write them."""
    decide = partial(
        review.decide,
        changeset.pk,
        decision=decision,
        actor=call.actor,
        revision=None,
        acknowledge=call.options.get("acknowledge", False),
        with_requirements=call.options["together"],
        rename_choice=_rename_choice(decision, call),
        keep=call.options.get("keep"),
        seen=call.options.get("seen") or "",
    )
    with transaction.atomic():
        decided = decide(selection)
        if not decided.skipped_deletes:
            return decided
        more = decide(Selection(model=selection.model, operation=Operation.DELETE))
        return Decided(
            count=decided.count + more.count,
            revision=more.revision,
            skipped_problems=decided.skipped_problems + more.skipped_problems,
            skipped_conflicts=decided.skipped_conflicts + more.skipped_conflicts,
            skipped_requirements=decided.skipped_requirements + more.skipped_requirements,
            skipped_decided=decided.skipped_decided,  # Has those among the deletes already.
            also_decided=tuple(sorted({*decided.also_decided, *more.also_decided})),
        )


def _together(decision: Decision) -> str:
    return "--with-requirements" if decision is Decision.ACCEPTED else "--with-dependents"


def _rename_choice(decision: Decision, call: Call) -> RenameChoice | None:
    """How renames are to be written: as the options say, whatever somebody chose before."""
    if decision is not Decision.ACCEPTED:
        return None
    return RenameChoice.REPLACE if call.options["replace"] else RenameChoice.RENAME


def _require_acceptable(changeset: Changeset, selection: Selection) -> None:
    """Raises `InvalidInput` if a change was named that cannot be applied; in --all, such are left out."""
    if selection.numbers is None:
        return
    problems = review.select(changeset, selection).filter(has_problems=True).values_list("number", "problems")
    found = [f"#{number}: {line(of_change[0]['message'])}" for number, of_change in problems[:3]]
    if found:
        raise InvalidInput(f"Nothing was accepted, because of problems. {' '.join(found)}")


def approve_changeset(call: Call) -> Answer:
    changeset = approval.approve(call.options["changeset"], call.actor, revision=changeset_of(call).revision)
    accepted = review.decision_counts(changeset)[Decision.ACCEPTED]
    return Answer(
        document={
            "changeset": changeset.pk,
            "state": changeset.state,
            "revision": changeset.revision,
            "accepted": accepted,
        },
        text=[
            f"Changeset {changeset.pk} is approved: {count(accepted, 'change')} accepted.",
            f"Apply it: data_sync apply {changeset.pk}",
        ],
    )


def override_guards(call: Call) -> Answer:
    changeset = changeset_of(call)
    approval.override(changeset.pk, call.actor, call.options["reason"])
    return Answer(
        document={
            "changeset": changeset.pk,
            "state": ChangesetState.PENDING.value,
            "guards": changeset.guards,
            "override": override_document(changeset),
        },
        text=[
            f"Changeset {changeset.pk} may be reviewed and approved. Overridden:",
            *guard_lines(changeset.guards),
            f"Review it: data_sync show {changeset.pk}",
        ],
    )
