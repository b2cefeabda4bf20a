"""Cameras as a driver: files, folders, video, RTSP, HTTP (MJPEG), USB (V4L2) and GenICam. See docs/camera.md."""

from ronghe.connect.camera.driver import Camera
from ronghe.connect.camera.options import Options

__all__ = ["Camera", "Options"]
