"""What the console's tests share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))

from asked import Shapes
from browser import Watched, launch
from centred import Centred
from pump_station import Station
from served import Served

from ronghe.console import Role
from ronghe.edge.runner import Runner

Open = Callable[..., Watched]


@pytest.fixture(scope="session")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """The pump station at work, for all tests of the session."""
    station = Station(tmp_path_factory.mktemp("pump"))
    station.start()
    yield station
    station.stop()


@pytest.fixture(scope="session")
def shapes(station: Station) -> Shapes:
    """An app that answers questions, at work on the pump station's node."""
    app = Shapes("shapes", station.node.plant, "line1/pump1", station.node.folder)
    runner = Runner(app, station.node.index, lambda result, at: None)
    runner.start()
    station.node.runners["shapes"] = runner
    return app


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all of a module: as long as it lives, its event loop runs in this thread, and no other may."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def open_page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Open]:
    """Opens the page, signed in with a role, in a language, at a width and in a theme; of the pump station, or of what is given as `of`."""
    opened = []

    def open_(
        role: Role = Role.ANYONE,
        *,
        language: str = "en",
        width: int = 1400,
        theme: str = "grey",
        base: str = "",
        of: Served | Centred | None = None,
    ) -> Watched:
        served = of or request.getfixturevalue("station")
        context = browser.new_context(viewport={"width": width, "height": 860}, locale="zh-CN" if language == "zh" else "en-GB")
        context.set_default_timeout(20_000)
        opened.append(context)
        if role is not Role.ANYONE:
            token = served.users.open_session(served.person(role))
            context.add_cookies([{"name": served.cookie, "value": token, "url": served.base, "httpOnly": True, "sameSite": "Strict"}])
        context.add_init_script(f"localStorage.setItem('ronghe.theme', '{theme}')")
        return Watched(context, base or served.base)

    yield open_
    for context in opened:
        context.close()
