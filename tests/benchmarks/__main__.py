"""``python3 -m tests.benchmarks``: measure, print the ratios, and keep all figures in a JSON file."""

import sys

import bootstrap

if __name__ == "__main__":
    bootstrap.ensure(extras=("demo", "dev", "benchmarks"), module="tests.benchmarks")

    from tests.benchmarks.command import main

    sys.exit(main(sys.argv[1:]))
