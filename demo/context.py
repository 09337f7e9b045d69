"""What the template of every admin page knows about the environment."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

ROLES = {"staging": "Source: content is edited here.", "production": "Target: pull, review and apply here."}


def environment(request: HttpRequest) -> dict[str, Any]:
    here = settings.ENVIRONMENT
    return {
        "demo_environment": here.name,
        "demo_icon": f"demo/{here.name}.svg",
        "demo_role": ROLES[here.name],
        "demo_peer": here.peer,
        # The same host name as now: both log-ins stay what they are.
        "demo_peer_url": f"http://{request.get_host().rsplit(':', 1)[0]}:{here.peer_port}/admin/",
    }
