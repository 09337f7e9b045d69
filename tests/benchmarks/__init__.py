"""How long a pull and an apply take, and how much memory, beside other ways to do the same.

`python3 -m tests.benchmarks` makes two databases, measures each way in a process of its own, and prints
ratios: seconds differ from machine to machine, ratios of one run hardly do.
"""
