"""What happens to the work when its worker is killed, cut off, out of space or out of time, at named points.

A worker is a process of its own (`worker`), which stops at one of the `points`; the test then does to it what
the table in `cases` says, looks whether all or nothing has happened, and has the work finished (`scene`).
By default a sample of the cases runs, another one on each database; ``--all-faults`` runs them all.

Three more points come with revert: its changeset stored but not approved, in the middle of its writes, and
committed but not answered.
"""
