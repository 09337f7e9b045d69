"""``python3 -m tests``: set up what the tests need, once, then run them on every database that answers."""

import sys

import bootstrap

if __name__ == "__main__":
    bootstrap.ensure(extras=("demo", "dev"), module="tests")

    from tests.runner import main

    sys.exit(main(sys.argv[1:]))
