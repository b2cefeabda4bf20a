"""The application of the centre's console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Litestar

from ronghe.console import people, record, session
from ronghe.console.app import application
from ronghe.console.centre import fleet, models, overall, placement, tenants
from ronghe.console.centre.desk import CentreDesk
from ronghe.console.throttle import Throttle
from ronghe.console.users import Users

if TYPE_CHECKING:
    from ronghe.cloud.centre import Centre

API = [
    *session.HANDLERS,
    *overall.HANDLERS,
    *fleet.HANDLERS,
    *models.HANDLERS,
    *placement.HANDLERS,
    *tenants.HANDLERS,
    *record.HANDLERS,
    *people.HANDLERS,
]


def create_centre_app(centre: Centre, users: Users) -> Litestar:
    """The console of a centre as an ASGI application. The centre is started and stopped by the caller, in the same event loop."""
    return application(CentreDesk(centre, users, Throttle(centre.clock)), API, "Ronghe centre")
