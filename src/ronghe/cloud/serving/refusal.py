"""Why a request is not served: one class, with the status that HTTP and gRPC give it. The words are ours, never a model's own error."""

from __future__ import annotations

from typing import Final

from ronghe.errors import CloudError
from ronghe.text import Text

GRPC: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""The gRPC status of each HTTP status that a call by gRPC may have."""


class Refusal(CloudError):
    """`status` is HTTP's; `after` says in how many seconds it is worth asking again, 0 where that does not help."""

    def __init__(self, status: int, what: Text, *, after: int = 0) -> None:
        super().__init__(what)
        self.status, self.after = status, after

    @property
    def words(self) -> str:
        """Both languages in one line: a program's log is read by whoever comes."""
        return f"{self.what.en} / {self.what.zh}"


def bad(en: str, zh: str) -> Refusal:
    """The request itself is wrong."""
    return Refusal(400, Text(en, zh))


def nobody() -> Refusal:
    """No key, one that was never given out, one that was revoked: all the same."""
    return Refusal(401, Text("a valid key is needed", "需要有效的密钥"))


def absent() -> Refusal:
    """Not there, not ready, or not yours: all the same."""
    return Refusal(404, Text("no such model", "没有此模型"))
