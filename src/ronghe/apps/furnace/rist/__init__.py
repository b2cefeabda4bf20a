"""The bottom segment of a blast furnace in balance, and its operating line."""

from ronghe.apps.furnace.rist.balance import Assumptions, Balance, solve
from ronghe.apps.furnace.rist.line import OperatingLine, Point, operating_line

__all__ = ["Assumptions", "Balance", "OperatingLine", "Point", "operating_line", "solve"]
