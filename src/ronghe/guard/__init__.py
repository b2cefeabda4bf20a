"""Advice in, action out: only the guard writes to a machine (contract 6)."""

from ronghe.guard.advice import Advice, Evidence, Expected, State
from ronghe.guard.case import Case, Check, Effect, Measured, Step, Watched
from ronghe.guard.change import Change, ChangeState, Put, Setting, Told
from ronghe.guard.changecase import ChangeCase
from ronghe.guard.guard import Guard
from ronghe.guard.ledger import Entry, Ledger, Verification
from ronghe.guard.limits import check_guard, check_guards

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
    "Ledger",
    "Measured",
    "Put",
    "Setting",
    "State",
    "Step",
    "Told",
    "Verification",
    "Watched",
    "check_guard",
    "check_guards",
]
