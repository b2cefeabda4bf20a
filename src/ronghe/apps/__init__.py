"""Apps: one package a scenario. Each composes the floors below over the app contract; none imports another."""

from ronghe.apps.contract import App, Finding, Page, Result, Wants

__all__ = ["App", "Finding", "Page", "Result", "Wants"]
