"""Serves the centre's console in the centre's own event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ronghe.console.centre.app import create_centre_app
from ronghe.console.serving import listen, serve
from ronghe.console.users import Users

if TYPE_CHECKING:
    from ronghe.cloud.centre import Centre

log = logging.getLogger(__name__)


class CentreConsole:
    """The console of a centre, its people in `.ronghe/users.sqlite`. Made before the centre starts.

    Raises RongheError when the address cannot be had, UsersUnavailable when the file of users cannot be used.
    """

    def __init__(self, centre: Centre, host: str, port: int) -> None:
        self._centre = centre
        self._sock = listen(host, port)
        try:
            self._users = Users(centre.home / "users.sqlite", centre.clock)
        except BaseException:
            self._sock.close()
            raise

    def close(self) -> None:
        """Gives the address and the file back. Safe to call twice."""
        self._sock.close()
        self._users.close()

    async def serve(self, ended: asyncio.Event, say: Callable[[str], object]) -> None:
        """Serves until `ended`; tells where it is and, while there is no administrator, the one-time link.

        A console that fails is logged. The nodes need the centre more than people need its page: this waits for `ended` all the same.
        """
        try:
            await serve(create_centre_app(self._centre, self._users), self._sock, ended, say)
        except Exception:
            log.exception("the console failed; the centre goes on without it")
            await ended.wait()
