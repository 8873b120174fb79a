#!/bin/sh
# Several ranks by MPICH, which is on few systems beside Open MPI: the last commit is built with it, and their test run, in a
# fresh system that mmdebstrap makes, as root. Takes ten minutes, and the distribution's archive.
#     tools/mpich.sh
set -eu
cd "$(dirname "$0")/.."

tools/packages.sh mmdebstrap
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/flowcl"
git archive HEAD | tar -x -C "$folder/flowcl"
# shellcheck disable=SC2016,SC2046 # the fresh system's shell reads it; a list of words
mmdebstrap --variant=apt --include=ca-certificates,procps \
    --customize-hook='copy-in '"$folder/flowcl"' /root' \
    --customize-hook='chroot "$1" sh -euxc "
        cd /root/flowcl
        tools/build.sh libcmocka-dev libmpich-dev mpich
        mpirun --version | grep HYDRA
        ldd build/tools/flowcl | grep libmpich
        meson test -C build --no-rebuild --print-errorlogs cli-ranks
        echo several ranks work by MPICH"' \
    $(tools/archive.sh)
