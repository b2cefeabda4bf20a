"""Time-lapse: an app at work on a plant whose time runs faster than ours, as that of a simulator or of a recording that is played.

The app lives in the plant's time and all its options are in it; everything around it, samples, guard and ledger, lives in ours.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec

from ronghe.apps.contract import App, Question, Result, Wants
from ronghe.guard import Advice, ChangeCase
from ronghe.picture import Picture
from ronghe.plant.model import Lapse, Plant
from ronghe.signals import Window
from ronghe.signals.when import parse_duration, parse_time
from ronghe.text import Text

_replace: Final = msgspec.structs.replace


def slowed(plant: Plant, pace: int) -> Plant:
    """The plant as it is in its own time: what its tags and guards say of seconds of ours, in its own."""

    def longer(duration: str) -> str:
        return f"{parse_duration(duration) * pace / 1e9:.9g}s"

    guards = {}
    for tag, guard in plant.guards.items():
        amount, _, window = guard.rate.rpartition(" per ")
        rate = f"{amount} per {longer(window)}" if window else ""
        guards[tag] = _replace(guard, fresh=longer(guard.fresh), hold=longer(guard.hold), rate=rate)
    tags = {name: _replace(tag, every=tag.every * pace) for name, tag in plant.tags.items()}
    return _replace(plant, tags=tags, guards=guards)


class Lapsed(App):
    """`app`, made for a plant that is `slowed`, in its plant's time."""

    def __init__(self, app: App, lapse: Lapse) -> None:
        super().__init__(app.name, app.plant, app.equipment, app.options, app.state)
        self._app, self._pace = app, lapse.pace
        self._ours, self._plants = parse_time(lapse.at, 0), parse_time(lapse.shows, 0)
        self.uses, self.pages, self.verbs = app.uses, app.pages, app.verbs  # type: ignore[misc]

    def wants(self) -> Wants:
        wants = self._app.wants()
        return _replace(wants, every=wants.every / self._pace, max_age=wants.max_age / self._pace)

    def step(self, window: Window) -> Result:
        time = self._plants + (window.time - self._ours) * self._pace
        return self._outward(self._app.step(Window(window.tags, time, window.value, window.quality, window.age * self._pace)))

    def see(self, picture: Picture) -> Result:
        return self._outward(self._app.see(replace(picture, time=self._plants + (picture.time - self._ours) * self._pace)))

    def ask(self, question: Question) -> object:
        return self._app.ask(question)

    def signal(self, name: str) -> Text:
        return self._app.signal(name)

    def feedback(self, advice: str, outcome: str) -> None:
        self._app.feedback(advice, outcome)

    def follow(self, change: ChangeCase) -> None:
        self._app.follow(change)

    def close(self) -> None:
        self._app.close()

    def _our(self, time: int) -> int:
        return self._ours + (time - self._plants) // self._pace

    def _outward(self, result: Result) -> Result:
        return _replace(
            result,
            findings=tuple(_replace(f, time=self._our(f.time)) for f in result.findings),
            advice=tuple(self._advice(a) for a in result.advice),
            changes=tuple(
                _replace(c, time=self._our(c.time), expires=self._our(c.expires), within=c.within / self._pace) for c in result.changes
            ),
            savings=tuple(_replace(s, start=self._our(s.start), end=self._our(s.end)) for s in result.savings),
        )

    def _advice(self, advice: Advice) -> Advice:
        promise = advice.expected
        return _replace(
            advice,
            time=self._our(advice.time),
            expires=self._our(advice.expires),
            expected=None if promise is None else _replace(promise, within=promise.within / self._pace),
        )
