#!/bin/sh
# Installs what the tests run against and cannot bring from PyPI: a browser, Node.js (independent OPC UA and Modbus servers), libmodbus, gcc,
# and cameras that are not ours (GStreamer's RTSP server, uStreamer, Aravis' GigE Vision camera).
set -eu
missing=""
command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
command -v node >/dev/null 2>&1 || missing="$missing nodejs"
command -v npm >/dev/null 2>&1 || missing="$missing npm"
command -v gcc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
command -v socat >/dev/null 2>&1 || missing="$missing socat"
[ -e /usr/include/modbus/modbus.h ] || missing="$missing libmodbus-dev"
command -v ustreamer >/dev/null 2>&1 || missing="$missing ustreamer"
command -v arv-fake-gv-camera-0.8 >/dev/null 2>&1 || missing="$missing aravis-tools"
/usr/bin/python3 - 2>/dev/null <<'END' || missing="$missing python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
import gi
for name in ("Gst", "GstRtspServer"):
    gi.require_version(name, "1.0")
from gi.repository import Gst
Gst.init(None)
assert all(Gst.ElementFactory.find(e) for e in ("videotestsrc", "jpegenc", "rtpjpegpay", "x264enc", "rtph264pay"))
END
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "the tests need:$missing; install them with this system's package manager" >&2
    exit 1
fi
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
echo "installing for the tests:$missing"
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
