"""`ronghe furnace`: silicon forecast, Rist balance, set-point tuning, predictive control."""

from __future__ import annotations

import click

from ronghe.cli.furnace_control import mpc
from ronghe.cli.furnace_silicon import rist, silicon
from ronghe.cli.furnace_tune import tune
from ronghe.text import Text


@click.group(help=str(Text("Furnaces and processes: forecast, balance, tuning, control.", "炉窑与流程：预测、平衡、寻优与控制。")))
def furnace() -> None:
    """The group; each part's commands are a module of their own."""


furnace.add_command(silicon)
furnace.add_command(rist)
furnace.add_command(tune)
furnace.add_command(mpc)
