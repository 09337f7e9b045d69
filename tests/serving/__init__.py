"""Real web servers and commands, each a process of its own, before the databases that the tests have made."""
