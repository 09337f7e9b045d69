"""The tests: they mirror ``data_sync/``; ``python3 -m tests`` sets up and runs them."""
