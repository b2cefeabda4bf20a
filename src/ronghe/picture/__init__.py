"""Pictures: what one is, reading it without ever misreading it, finding and encoding them. See docs/camera.md.

Importing this package needs no image library; the functions raise MissingExtra, naming `ronghe[vision]`, where there is none.
"""

from ronghe.picture.folder import find
from ronghe.picture.frame import Picture, encode
from ronghe.picture.reader import decode, read

__all__ = ["Picture", "decode", "encode", "find", "read"]
