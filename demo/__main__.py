"""``python3 -m demo``: two environments in one command. Old Pythons can parse this file, and are refused."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import bootstrap

if __name__ == "__main__":
    bootstrap.ensure(extras=("demo",), module="demo")

    from demo.command import main

    sys.exit(main())
