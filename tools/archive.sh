#!/bin/sh
# Prints what mmdebstrap is to make a system like this one of: the release, no folder or file for it, and where this one's own
# settings of apt name the distribution's archive.
set -eu
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
archive=$(grep -ls "^deb .* $release .*main" /etc/apt/sources.list /etc/apt/sources.list.d/*.list | head -n 1)
for list in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/ubuntu.sources; do
    [ ! -f "$list" ] || archive=$list
done
echo "$release /dev/null $archive"
