#!/bin/sh
# Installs what the build needs (Debian, Ubuntu) and builds into build/.
set -eu
cd "$(dirname "$0")/.."

tools/packages.sh gcc libc6-dev meson ninja-build pkg-config python3 ocl-icd-opencl-dev pocl-opencl-icd \
    libclblast-dev libpng-dev libjpeg-dev libyaml-dev libjansson-dev zlib1g-dev libzip-dev libcairo2-dev libpango1.0-dev "$@"
[ -f build/build.ninja ] || meson setup build
ninja -C build
