#!/bin/sh
# Installs, builds and runs every test, with each OpenCL driver that can be installed here, and those that need none once
# more under sanitizers. The last line counts.
set -eu
cd "$(dirname "$0")/.."

tools/build.sh libcmocka-dev mesa-opencl-icd oclgrind dataset-fashion-mnist fonts-noto-color-emoji locales g++ cmake \
    libbz2-dev libssl-dev libopenmpi-dev openmpi-bin groff-base fish zsh python3-numpy
meson configure build -Dtests=enabled >/dev/null
ninja -C build
status=0
meson test -C build --no-rebuild --print-errorlogs || status=$?
tools/sanitize.sh || status=$?
python3 tests/count.py build/meson-logs/testlog.json build-sanitize/meson-logs/testlog.json || status=1
exit "$status"
