#!/bin/sh
# Draws the emoji of Debian's fonts-noto-color-emoji into a folder, a PNG each, in a subfolder for each of Unicode's groups:
#
#     tools/emoji.sh DIR [SIZE [all]]
#
# SIZE is 32 without it; with "all" those are drawn, too, that differ by a tone of skin. What is around them is clear.
set -eu
case ${1-} in '' | -*) echo "usage: tools/emoji.sh DIR [SIZE [all]]" >&2 && exit 2 ;; esac
root=$(cd "$(dirname "$0")/.." && pwd)
"$root/tools/build.sh" fonts-noto-color-emoji unicode-data fontconfig >&2
exec "$root/build/tools/emoji" /usr/share/unicode/emoji/emoji-test.txt "$1" "${2:-32}" "${3:-plain}"
