"""Who may do what: four roles, each able to do all that the one before it can (after ISA-101 and IEC 62443-2-1 practice)."""

from __future__ import annotations

from enum import IntEnum

from ronghe.text import Text


class Role(IntEnum):
    """A person's role. `ANYONE` is nobody in particular: what a page needs before a person has signed in."""

    ANYONE = 0
    VIEWER = 1  # sees everything, changes nothing
    OPERATOR = 2  # acknowledges, shelves for a while, approves or rejects advice, stops all writes
    ENGINEER = 3  # lets writes go on again, shelves for longer
    ADMINISTRATOR = 4  # people and their roles

    @property
    def word(self) -> str:
        """The role as written in the API, the database and on the command line."""
        return self.name.lower()

    @property
    def text(self) -> Text:
        """The role's name for people."""
        return _NAMES[self]


_NAMES = {
    Role.ANYONE: Text("anyone", "任何人"),
    Role.VIEWER: Text("viewer", "观察员"),
    Role.OPERATOR: Text("operator", "操作员"),
    Role.ENGINEER: Text("engineer", "工程师"),
    Role.ADMINISTRATOR: Text("administrator", "管理员"),
}

ROLES = tuple(r.word for r in Role if r is not Role.ANYONE)
"""The roles a person can have, weakest first."""
