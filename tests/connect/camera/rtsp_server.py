"""A GStreamer RTSP server with a live test picture, for the system's own Python: rtsp_server.py PORT jpeg|h264 [USER PASSWORD]."""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

CODERS = {
    "jpeg": "jpegenc ! rtpjpegpay name=pay0 pt=26",
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph264pay name=pay0 pt=96 config-interval=1",
}

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
picture = "videotestsrc is-live=true pattern=smpte ! video/x-raw,format=I420,width=320,height=240,framerate=25/1"
factory.set_launch(f"( {picture} ! {CODERS[sys.argv[2]]} )")
factory.set_shared(True)
if sys.argv[3]:
    user, _, password = sys.argv[3].partition(" ")
    auth = GstRtspServer.RTSPAuth()
    role = GstRtspServer.RTSPToken()
    role.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), role)
    server.set_auth(auth)
    rights = Gst.Structure.new_empty("viewer")
    rights.set_value("media.factory.access", True)
    rights.set_value("media.factory.construct", True)
    factory.add_role_from_structure(rights)
server.get_mount_points().add_factory("/line1", factory)
if not server.attach(None):
    sys.exit("no port")
print("ready", flush=True)
GLib.MainLoop().run()
