"""`python -m tests.benchmarks.step NAME [ARGUMENT …]`: runs one function of `steps`, prints its JSON."""

from __future__ import annotations

import json
import sys

import django

if __name__ == "__main__":
    django.setup()

    from tests.benchmarks import steps

    name, *arguments = sys.argv[1:]
    print(json.dumps(getattr(steps, name)(*arguments)))
