"""``python3 -m tests.mutations``: switch each guard off, one at a time, and see a test fail."""

import sys

import bootstrap

if __name__ == "__main__":
    bootstrap.ensure(extras=("demo", "dev"), module="tests.mutations")

    from tests.mutations.command import main

    sys.exit(main(sys.argv[1:]))
