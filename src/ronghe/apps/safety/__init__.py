"""Safety monitoring: people in danger zones, and limits by voting. Advisory: it replaces no safety PLC and no light curtain."""

from ronghe.text import Text

ADVISORY = Text(
    "Advisory only: this replaces no safety PLC, light curtain or scanner, and has no performance level (IEC 61508, ISO 13849, IEC 61496).",
    "仅为辅助监测：不能替代安全 PLC、安全光幕或扫描仪，不具备安全等级（IEC 61508、ISO 13849、IEC 61496）。",
)
"""Said wherever people meet it: on its page, by its commands, in its documents."""
