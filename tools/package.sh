#!/bin/sh
# Debian packages of the last commit, into build/packages (or the folder that is named), without an error of lintian; as root, they
# are then installed in a fresh system that mmdebstrap makes, and used there: a training, a man page, and a program of
# their library. Takes some minutes, and the distribution's archive.
#     tools/package.sh [FOLDER]
set -eu
cd "$(dirname "$0")/.."
mkdir -p "${1-build/packages}"
packages=$(cd "${1-build/packages}" && pwd)

# What debian/control asks for, by their names alone.
needed=$(sed -n '/^Build-Depends:/,/^Standards/{s/^Build-Depends://;s/([^)]*)//;s/:any//;s/debhelper-compat/debhelper/;s/,//;/^Standards/!p}' \
    debian/control)
# shellcheck disable=SC2086 # a list of words
tools/packages.sh build-essential lintian mmdebstrap $needed
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/flowcl"
git archive HEAD | tar -x -C "$folder/flowcl"
(cd "$folder/flowcl" && dpkg-buildpackage --build=binary --no-sign)
lintian --fail-on error --suppress-tags bogus-mail-host-in-debian-changelog "$folder"/*.changes
rm -f "$packages"/flowcl_*.deb "$packages"/flowcl-dbgsym_*.deb "$packages"/libflowcl*.deb
cp "$folder"/*.deb "$packages"
ls -l "$packages"
[ "$(id -u)" -eq 0 ] || { echo "not installed in a fresh system: that takes root"; exit 0; }

# What goes in lies where no blank is in its path, which mmdebstrap would divide.
mkdir "$folder/packages"
cp "$folder"/*.deb "$folder/packages"
# shellcheck disable=SC2016,SC2046 # the fresh system's shell reads it; a list of words
mmdebstrap --variant=apt --include=ca-certificates,man-db,gcc,libc6-dev,pkg-config \
    --customize-hook='copy-in '"$folder/packages"' /root' --customize-hook='copy-in '"$folder/flowcl/examples"' /root' \
    --customize-hook='chroot "$1" sh -euxc "
        rm -f /etc/dpkg/dpkg.cfg.d/*
        apt-get install -y --no-install-recommends /root/packages/*.deb pocl-opencl-icd
        cd /root
        flowcl train moons --steps 200 --out run
        flowcl sample run --n 100 --out samples.npy
        man flowcl-train | grep -q moons
        man flowcl_train.h | grep -q fcl_train_options
        cc examples/two_moons.c -o two_moons \$(pkg-config --cflags --libs flowcl)
        ./two_moons
        mkdir static
        cp /usr/lib/*/libflowcl.a static
        cc examples/two_moons.c -o two_moons_static -Lstatic \$(pkg-config --cflags --libs --static flowcl)
        ldd two_moons_static
        if ldd two_moons_static | grep libflowcl; then exit 1; fi
        ./two_moons_static static/run
        echo the packages work in a fresh system"' \
    $(tools/archive.sh)
