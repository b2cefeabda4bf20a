"""The console (floor 6): HTTP API, stream, people and roles, and the web page, over one node."""

from ronghe.console.app import create_app
from ronghe.console.roles import Role
from ronghe.console.server import Console
from ronghe.console.users import Users

__all__ = ["Console", "Role", "Users", "create_app"]
