"""`ronghe twin`: a set-point tried on the twin before the plant feels it."""

from __future__ import annotations

import click

from ronghe.text import Text


@click.group(help=str(Text("Twins: try set-points on a model of the plant.", "孪生体：先在模型上试设定值。")))
def twin() -> None:
    """The group."""
