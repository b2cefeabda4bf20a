#!/bin/sh
# Installs what the tests run against and cannot bring from PyPI: a browser, Node.js (independent OPC UA and Modbus servers), libmodbus, gcc.
set -eu
missing=""
command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
command -v node >/dev/null 2>&1 || missing="$missing nodejs"
command -v npm >/dev/null 2>&1 || missing="$missing npm"
command -v gcc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
command -v socat >/dev/null 2>&1 || missing="$missing socat"
[ -e /usr/include/modbus/modbus.h ] || missing="$missing libmodbus-dev"
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
