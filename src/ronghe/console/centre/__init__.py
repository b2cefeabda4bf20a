"""The centre's console: fleet, models and roll-outs, placement, tenants, over one centre; people and rules as at a node's console."""

from ronghe.console.centre.app import create_centre_app
from ronghe.console.centre.server import CentreConsole

__all__ = ["CentreConsole", "create_centre_app"]
