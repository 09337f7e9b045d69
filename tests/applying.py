"""``python -m tests.applying CHANGESET MOMENT``: a worker that stops for good at a moment of its apply.

Says ``paused`` there, so that the test can kill it.
"""

from __future__ import annotations

import sys
from typing import Any


def pause(**_: Any) -> None:
    print("paused", flush=True)
    sys.stdin.read()


def main(changeset: str, moment: str) -> None:
    import django

    django.setup()

    from django.db.models.signals import post_delete, post_save

    from data_sync.services import apply
    from tests.testapp.models import Product

    counted = iter(range(1000))
    match moment:
        case "claimed":
            apply._write = lambda *_: pause()
        case "first":
            post_save.connect(pause, sender=Product, weak=False)
        case "middle":

            def later(**arguments: Any) -> None:
                if next(counted) == 3:
                    pause()

            post_save.connect(later, sender=Product, weak=False)
        case "delete":
            post_delete.connect(pause, sender=Product, weak=False)
        case "history":
            apply.record_history = lambda *_: pause()
    apply.run_apply(int(changeset))


if __name__ == "__main__":
    main(*sys.argv[1:])
