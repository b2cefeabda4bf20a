"""`ronghe energy`: replay a policy on recorded load, books of energy and carbon, what was saved."""

from __future__ import annotations

import click

from ronghe.cli import energy_books, energy_carbon, energy_replay
from ronghe.text import Text


@click.group(help=str(Text("Energy: plan, indicators, carbon, savings.", "能源：优化、绩效指标、碳核算与节能核证。")))
def energy() -> None:
    """The group; each part's commands are a module of their own."""


for _command in (energy_books.enpi, energy_carbon.carbon, energy_carbon.footprint, energy_books.verify, energy_replay.replay):
    energy.add_command(_command)
