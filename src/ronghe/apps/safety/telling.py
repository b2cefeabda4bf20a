"""What stands, what is told of it, and the interlock requests that go with it: the same for zones and for limits."""

from __future__ import annotations

from typing import Final

from ronghe.apps.contract import Finding, Priority, Result
from ronghe.apps.safety import wording
from ronghe.apps.safety.interlock import Interlocks
from ronghe.guard.advice import Advice, Evidence
from ronghe.text import Text

_NOTHING: Final = Text("")


class Telling:
    """Conditions of one app. What was told since the last `taken` is given by it."""

    def __init__(self, app: str, equipment: str, interlocks: Interlocks, model: str = "") -> None:
        self._app, self._equipment, self._interlocks, self._model = app, equipment, interlocks, model
        self.standing: dict[str, Finding] = {}
        self.findings: list[Finding] = []
        self._advice: list[Advice] = []

    def begin(
        self,
        key: str,
        now: int,
        priority: Priority,
        text: Text,
        action: Text = _NOTHING,
        evidence: tuple[Evidence, ...] = (),
        score: float = 0.0,
    ) -> None:
        """A condition stands from now on, or in another way than before."""
        self.standing[key] = self._told(key, now, True, priority, text, action, evidence, score)

    def end(self, key: str, now: int, text: Text) -> None:
        """It is over, and so is what was told of its requests."""
        for failed in [k for k in self.standing if k.startswith(f"{key}/request/")]:
            self.end(failed, now, wording.carried_out(failed.partition("/request/")[2]))
        priority = self.standing.pop(key).priority
        self._interlocks.ended(key)
        self._told(key, now, False, priority, text, _NOTHING, (), 0.0)

    def over(self, key: str, now: int) -> None:
        """A condition of an earlier life of the app is over."""
        self._told(key, now, False, "low", wording.over(), _NOTHING, (), 0.0)

    def request(self, key: str, name: str, since: int, now: int) -> None:
        """Asks for what is to be asked while `key`, of the zone or group `name`, stands; says which set-points did not follow in time."""
        told = self.standing[key]
        self._advice += self._interlocks.demand(key, name, since, now, told.text, told.evidence)
        for tag, why in self._interlocks.overdue(key, name, now):
            if f"{key}/request/{tag}" not in self.standing:
                self.begin(f"{key}/request/{tag}", now, "critical", wording.not_carried_out(tag, why), wording.SEE_TO_GUARD)
        for i, tag in enumerate(self._interlocks.tags):
            if f"{key}/request/{tag}" in self.standing and self._interlocks.in_force(i, now):
                self.end(f"{key}/request/{tag}", now, wording.carried_out(tag))

    def taken(self, signals: dict[str, float]) -> Result:
        """All that was told since, and the app's signals."""
        result = Result(findings=tuple(self.findings), advice=tuple(self._advice), signals=signals)
        self.findings, self._advice = [], []
        return result

    def _told(
        self,
        key: str,
        now: int,
        active: bool,
        priority: Priority,
        text: Text,
        action: Text,
        evidence: tuple[Evidence, ...],
        score: float,
    ) -> Finding:
        finding = Finding(
            key=key,
            app=self._app,
            equipment=self._equipment,
            time=now,
            active=active,
            priority=priority,
            text=text,
            action=action,
            score=score,
            evidence=evidence,
            model=self._model,
        )
        self.findings.append(finding)
        return finding
