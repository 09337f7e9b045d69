"""data_sync's background work with workers of three kinds: Celery on Redis, Celery on RabbitMQ, a database worker.

`test_workers.py` writes a project as docs/how-to/workers.md tells to, and runs `scenario.py` in it, in a process of its
own for each kind; the workers are processes of that project, too.
"""
