"""Advice in, action out: only the guard writes to a machine (contract 6)."""

from ronghe.guard.advice import Advice, Evidence, Expected, State
from ronghe.guard.case import Case, Check, Effect, Measured, Step, Watched
from ronghe.guard.change import Change, ChangeState, Put, Setting, Told
from ronghe.guard.changecase import ChangeCase
from ronghe.guard.guard import Guard
from ronghe.guard.ledger import Entry, Ledger, Verification
from ronghe.guard.limits import check_guard, check_guards
from ronghe.guard.modes import Switched
from ronghe.guard.saving import Interval, Saving

__all__ = [
    "Advice",
    "Case",
    "Change",
    "ChangeCase",
    "ChangeState",
    "Check",
    "Effect",
    "Entry",
    "Evidence",
    "Expected",
    "Guard",
    "Interval",
    "Ledger",
    "Measured",
    "Put",
    "Saving",
    "Setting",
    "State",
    "Step",
    "Switched",
    "Told",
    "Verification",
    "Watched",
    "check_guard",
    "check_guards",
]
