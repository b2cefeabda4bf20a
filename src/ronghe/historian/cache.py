"""Decoded samples of recent questions. A console asks for the same trends again and again, and a segment never changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from ronghe.historian.block import Block

BYTES: Final = 16_000_000
"""How much a store keeps."""
_ROW: Final = 24  # bytes of a row without text
_WHOLE: Final = 100_000  # rows of a tag that are not kept: they would push everything else out


class BlockCache:
    """The samples of one tag in one segment, by (file, tag); the least recently used go first. Safe between threads."""

    def __init__(self, limit: int = BYTES) -> None:
        self._limit, self._size = limit, 0
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[str, int], Block] = OrderedDict()

    def get(self, file: str, tag: int) -> Block | None:
        """What is held of a tag in a file, if anything."""
        with self._lock:
            found = self._blocks.get((file, tag))
            if found is not None:
                self._blocks.move_to_end((file, tag))
            return found

    def put(self, file: str, tag: int, block: Block) -> None:
        """Holds all samples of a tag in a file. The block must own its arrays."""
        if len(block) > _WHOLE or block.text is not None:
            return
        for array in (block.tag, block.time, block.value, block.quality):
            array.flags.writeable = False  # an answer may be made of it as it is
        with self._lock:
            if (file, tag) in self._blocks:
                return
            self._blocks[file, tag] = block
            self._size += len(block) * _ROW
            while self._size > self._limit:
                _, old = self._blocks.popitem(last=False)
                self._size -= len(old) * _ROW
