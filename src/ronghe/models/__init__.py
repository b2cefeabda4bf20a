"""Model packages (contract 4): what was learned, what it may be used for, and proof that it is that."""

from ronghe.models.package import Input, Manifest, Output, Package, Training, load, save, training_hash

__all__ = ["Input", "Manifest", "Output", "Package", "Training", "load", "save", "training_hash"]
