"""/api/placement: where every model runs, by which measured link, and what else there was to choose from."""

from __future__ import annotations

from typing import Any

from litestar import get

from ronghe.console.centre.desk import centre_of
from ronghe.console.desk import Call, needs
from ronghe.console.roles import Role


@get("/api/placement", opt=needs(Role.VIEWER), sync_to_thread=True)
def placement(request: Call) -> Any:
    """Every node's sites, models and moves."""
    return centre_of(request).placement.view()


HANDLERS = [placement]
