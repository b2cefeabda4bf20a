"""`ronghe energy`: replay a policy on recorded load, books of energy and carbon, what was saved."""

from __future__ import annotations

import click

from ronghe.text import Text


@click.group(help=str(Text("Energy: plan, indicators, carbon, savings.", "能源：优化、绩效指标、碳核算与节能核证。")))
def energy() -> None:
    """The group; each part's commands are a module of their own."""
