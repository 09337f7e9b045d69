"""`revert` makes a changeset that undoes an applied one; it is reviewed and applied like any other."""

from __future__ import annotations

from data_sync.services import revert as service

from . import pulls
from .call import Answer, Call, Verbs, changeset_of, number


def add_verbs(verbs: Verbs) -> None:
    verb = verbs.add("revert", revert, "Make a changeset that undoes an applied one, to be reviewed and applied")
    verb.add_argument("changeset", type=number, metavar="CS", help="the applied changeset's number")
    verb.add_argument(
        "--change", type=number, action="append", metavar="N", help="undo this change; can be given several times"
    )


def revert(call: Call) -> Answer:
    return pulls.run(service.request_revert(changeset_of(call), call.options["change"], call.actor), call)
