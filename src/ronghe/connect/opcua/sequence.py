"""Sequence numbers of one subscription's notifications: which were missed (OPC 10000-4, 5.14.1.1 and 7.26)."""

from __future__ import annotations

from typing import Final

_WRAP: Final = 2**32 - 1  # the number after this one is 1
_FARTHEST: Final = 10_000  # a jump beyond this is not a gap but a subscription that was made anew


class Sequence:
    """Follows the numbers; the first notification of a subscription is number 1."""

    def __init__(self) -> None:
        self.expected = 1
        self.missing: dict[int, None] = {}  # in order

    def take(self, number: int) -> bool:
        """A notification with data; False when it came before and must not be taken again."""
        if number in self.missing:
            del self.missing[number]
            return True
        if not self._reach(number):
            return False
        self.expected = _after(number)
        return True

    def alive(self, number: int) -> None:
        """A keep-alive; it tells the number that the next notification will have."""
        self._reach(number)

    def _reach(self, number: int) -> bool:
        """Counts as missing what lies between; False when `number` lies behind."""
        ahead = (number - self.expected) % _WRAP
        if ahead > _FARTHEST:
            return False
        while self.expected != number:
            self.missing[self.expected] = None
            self.expected = _after(self.expected)
        return True


def _after(number: int) -> int:
    return 1 if number >= _WRAP else number + 1
