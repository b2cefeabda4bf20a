"""kill -9 at every step of the switch: a valid model always runs, and the next start says what happened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.models.conftest import Clock, Works

from ronghe.models.delivery import Store
from ronghe.models.delivery.bundle import write


def test_killed_at_every_step_a_valid_model_runs_and_what_happened_is_said(tmp_path: Path, works: Works, clock: Clock) -> None:
    store = Store(tmp_path / "prepared", clock=clock, reserve=0)
    store.ring.pin(works.keys.named("first").key)
    one = works.wanted("1")
    store.fetch(one, works)
    store.switch(one)
    store.prove("watch")
    bundle = tmp_path / "two.bundle"
    write(works.registry, [works.release("2").hash], bundle)
    script = Path(__file__).with_name("kill_at_every_step.py")
    call = [sys.executable, str(script), str(store.folder), str(bundle), str(clock())]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    steps = [line.split() for line in done.stdout.splitlines()]
    calls = [call for _, call, *_ in steps]
    assert {"open", "write", "the_other_half", "fsync", "os.rename", "os.remove"} < set(calls)
    assert len(calls) > 40
    ran = [version for _, _, version, *_ in steps]
    # The old until the switch, the new until it is taken back, and never none: one change each way.
    first, last = ran.index("2"), len(ran) - 1 - ran[::-1].index("2")
    assert ran == ["1"] * first + ["2"] * (last - first + 1) + ["1"] * (len(ran) - 1 - last)
    cut = [i for i, (_, _, _, *said) in enumerate(steps) if "recovered" in said]
    assert cut == list(range(cut[0], cut[-1] + 1))
    assert cut[0] < first <= cut[-1] < last  # told on both sides of the moment at which the new one counts
