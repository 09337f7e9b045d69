"""System checks of a deployment, for `check --deploy` and `doctor`: what runs, but is weaker or rarer than it looks.

Those that read the database run only where Django is asked to (`--database default`).
"""

from . import databases, disk, exchange, failures, hosts, leases, queues, secrets, transport, trusting

__all__ = ["databases", "disk", "exchange", "failures", "hosts", "leases", "queues", "secrets", "transport", "trusting"]
