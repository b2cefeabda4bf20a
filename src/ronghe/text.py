"""One sentence in English and Chinese: what every person-facing string in Ronghe is made of."""

from __future__ import annotations

import os

import msgspec

LANGUAGES = ("en", "zh")


class Text(msgspec.Struct, frozen=True):
    """The same words in English and Chinese. `str()` gives the language of this process, see `language()`."""

    en: str
    zh: str = ""

    def __str__(self) -> str:
        return self.in_(language())

    def in_(self, lang: str) -> str:
        """The words in `lang` ("en" or "zh"); English where Chinese is missing."""
        return self.zh if lang == "zh" and self.zh else self.en


def language() -> str:
    """The language of this process: `RONGHE_LANG` if set, else the locale's; "en" or "zh"."""
    chosen = os.environ.get("RONGHE_LANG") or os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "zh" if chosen.lower().startswith("zh") else "en"
