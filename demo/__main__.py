"""``python3 -m demo``: two environments in one command. Old Pythons can parse this file, and are refused."""

import sys

import bootstrap

if __name__ == "__main__":
    bootstrap.ensure(extras=("demo",), module="demo")

    from demo.command import main

    sys.exit(main())
