"""`python -m tests.benchmarks.step NAME [ARGUMENT …]`: runs one function of the steps, prints its JSON."""

from __future__ import annotations

import json
import sys

import django

if __name__ == "__main__":
    django.setup()

    from tests.benchmarks import floor, instruments, peers, steps

    instruments.count()
    name, *arguments = sys.argv[1:]
    step = next(getattr(module, name) for module in (steps, floor, peers) if name in module.STEPS)
    print(json.dumps(step(*arguments)))
