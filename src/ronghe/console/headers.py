"""Headers that every answer carries: the page may load nothing from elsewhere, run no inline script, and be framed by nobody."""

from __future__ import annotations

from typing import Final

from litestar.types import Message, Scope

POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)

HEADERS: Final = [
    (name.lower().encode(), value.encode())
    for name, value in {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    }.items()
]


async def add_headers(message: Message, scope: Scope) -> None:
    """Litestar hook `before_send`: also the answers that no handler gave (404, 405) carry them."""
    if message["type"] == "http.response.start":
        message["headers"] = [*message["headers"], *HEADERS]
