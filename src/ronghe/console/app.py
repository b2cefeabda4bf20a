"""The application: every handler, one guard before them, one shape of error behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from litestar import Litestar, Router
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ControllerRouterHandler

import ronghe
from ronghe.console import access, alarms, asks, autonomy, cases, factory, failures, live, page, people, record, session, state, trend
from ronghe.console.desk import Desk, Front, needs
from ronghe.console.headers import add_headers
from ronghe.console.roles import Role
from ronghe.console.throttle import Throttle
from ronghe.console.users import Users
from ronghe.edge.footprint import without
from ronghe.edge.node import Node

API = [
    *session.HANDLERS,
    *factory.HANDLERS,
    *live.HANDLERS,
    *trend.HANDLERS,
    *alarms.HANDLERS,
    *cases.HANDLERS,
    *autonomy.HANDLERS,
    *record.HANDLERS,
    *state.HANDLERS,
    *asks.HANDLERS,
    *people.HANDLERS,
]


def create_app(node: Node, users: Users) -> Litestar:
    """The console of a node as an ASGI application. The node is started and stopped by the caller, in the same event loop."""
    return application(Desk(node, users, Throttle(node.clock)), API, "Ronghe console")


def application(front: Front, api: Sequence[ControllerRouterHandler], title: str) -> Litestar:
    """A console as an ASGI application: the handlers in `api` and the page, behind the rules that hold for every console."""

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        yield
        front.closing.set()

    with without("pydantic", "attr", "attrs"):  # whose types no handler here has; 12 MB
        return _litestar(front, api, title, lifespan)


def _litestar(
    front: Front, api: Sequence[ControllerRouterHandler], title: str, lifespan: Callable[[Litestar], AbstractAsyncContextManager[None]]
) -> Litestar:
    return Litestar(
        route_handlers=[*api, page.index, page.asset],
        guards=[access.check],
        exception_handlers=failures.HANDLERS,
        before_send=[add_headers],
        compression_config=CompressionConfig(
            backend="gzip", gzip_compress_level=5, exclude=["/api/stream", "^/api/plant$", "^/$", "/assets/"]
        ),
        openapi_config=OpenAPIConfig(
            title=title,
            version=ronghe.__version__,
            openapi_router=Router("/api/schema", route_handlers=[], opt=needs(Role.VIEWER)),
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        ),
        lifespan=[lifespan],
        request_max_body_size=100_000,
        state=State({"desk": front}),
        logging_config=None,
    )
