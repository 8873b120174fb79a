#!/bin/sh
# What the shared library gives to others is what debian/libflowcl0.symbols lists: names of ours alone, and none that is gone.
# And the version is one, wherever it stands.
#     symbols.sh LIBRARY SOURCES
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
nm -D --defined-only "$1" | awk '{ print $3 }' | LC_ALL=C sort >"$folder/given"
sed -n 's/^ \([^@]*\)@Base .*/\1/p' "$2/debian/libflowcl0.symbols" | LC_ALL=C sort >"$folder/listed"
[ -s "$folder/given" ] || { echo "the library gives nothing" >&2; exit 1; }
if grep -v '^fcl_' "$folder/given"; then
    echo "these are given to others, and do not begin with fcl_" >&2
    exit 1
fi
diff -u "$folder/listed" "$folder/given" || {
    echo "debian/libflowcl0.symbols lists others: a new name is a line, in the order of its bytes, with this version; one that" \
        "is gone is gone for the programs that use it, which need another soname" >&2
    exit 1
}

version=$(sed -n "s/^  version: '\(.*\)',.*/\1/p" "$2/meson.build")
[ -n "$version" ] || { echo "meson.build has no version" >&2; exit 1; }
grep -qxF "#define FCL_VERSION \"$version\"" "$2/include/flowcl/flowcl.h" || {
    echo "include/flowcl/flowcl.h has another version than meson.build, $version" >&2
    exit 1
}
head -n 1 "$2/debian/changelog" | grep -qF "($version)" || {
    echo "debian/changelog begins with another version than meson.build's, $version" >&2
    exit 1
}
