"""The works of tests/models, here too."""

from tests.models.conftest import clock, works

__all__ = ["clock", "works"]
