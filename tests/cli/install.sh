#!/bin/sh
# The library, installed into an empty folder: it has every header, each compiles alone, and a program in C and in C++
# builds by pkg-config and runs, with the shared library and with the static one. The program finds the presets there.
#     install.sh BUILD SOURCE KINDS CC [CXX]; KINDS of the library: shared, static or both
set -eu
build=$1 source=$2 kinds=$3 cc=$4 cxx=${5-}
[ "$kinds" != both ] || kinds="shared static"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    echo "$*" >&2
    exit 1
}

# package ARGUMENTS...: pkg-config, as if the folder were the root.
package() {
    pkg-config --define-variable=prefix="$prefix" "$@" flowcl
}

# The program as it is written for a user, with only that kind of library within reach.
build_and_run() {
    language=$1 compiler=$2 kind=$3
    mkdir -p "$folder/$kind"
    case $kind in
    shared) flags= && cp -a "$(package --variable=libdir)"/libflowcl.so* "$folder/shared" ;;
    static) flags=--static && cp "$(package --variable=libdir)/libflowcl.a" "$folder/static" ;;
    esac
    # shellcheck disable=SC2046,SC2086 # lists of words
    $compiler -x "$language" "$source/tests/cli/user.c" -x none -o "$folder/user" $(package --cflags) \
        $(pkg-config --define-variable=prefix="$prefix" --define-variable=libdir="$folder/$kind" --libs $flags flowcl)
    said=$(LD_LIBRARY_PATH=$folder/shared "$folder/user") || fail "$language, $kind: the program fails"
    [ "$said" = "$(package --modversion) 2 0.500000 45.5" ] || fail "$language, $kind: it says $said"
}

try() {
    language=$1 compiler="$2 -Wall -Wextra -Wpedantic -Wno-missing-field-initializers -Werror"
    for header in "$prefix"/include/flowcl/*.h; do
        echo "#include <flowcl/$(basename "$header")>" >"$folder/alone"
        $compiler -I"$prefix/include" -fsyntax-only -x "$language" "$folder/alone"
    done
    for kind in $kinds; do
        build_and_run "$language" "$compiler" "$kind"
    done
}

DESTDIR=$folder meson install -C "$build" --no-rebuild --quiet
PKG_CONFIG_PATH=$(dirname "$(find "$folder" -name flowcl.pc)")
export PKG_CONFIG_PATH
prefix=$folder$(pkg-config --variable=prefix flowcl)
[ "$(ls "$prefix/include/flowcl")" = "$(ls "$source/include/flowcl")" ] || fail "a header is missing"
mv "$prefix" "$folder/moved" # the program finds its library and the presets from where it lies
listed=$("$folder/moved/bin/flowcl" train --preset) || fail "the installed program lists no presets"
echo "$listed" | grep -qxF "$folder/moved/share/flowcl/presets" || fail "it finds other presets than those beside it: $listed"
[ "$(ls "$folder/moved/share/flowcl/presets")" = "$(cd "$source/tools/presets" && ls -- *.yaml)" ] || fail "a preset is missing"
mv "$folder/moved" "$prefix"
[ "$(ls "$prefix/include/flowcl" | wc -l)" -eq "$(ls "$prefix"/share/man/man3/flowcl_*.h.3 | wc -l)" ] || fail "a header lacks its man page"
for file in man/man1/flowcl.1 man/man1/flowcl-train.1 bash-completion/completions/flowcl zsh/site-functions/_flowcl \
    fish/vendor_completions.d/flowcl.fish; do
    [ -s "$prefix/share/$file" ] || fail "share/$file is not installed"
done
try c "$cc -std=c11"
# CMake finds it by pkg-config.
if command -v cmake >/dev/null; then
    cp -R "$source/examples" "$folder"
    sed "s|^prefix=.*|prefix=$prefix|" "$PKG_CONFIG_PATH/flowcl.pc" >"$folder/flowcl.pc"
    CC=$cc PKG_CONFIG_PATH=$folder cmake -S "$folder/examples/cmake" -B "$folder/cmake" >"$folder/said" 2>&1 &&
        cmake --build "$folder/cmake" >>"$folder/said" 2>&1 || fail "CMake does not build its example: $(cat "$folder/said")"
    LD_LIBRARY_PATH=$(package --variable=libdir) "$folder/cmake/two_moons" "$folder/said/run" 2>"$folder/err" &&
        fail "the program that CMake built writes below a file"
    grep -q "$folder/said" "$folder/err" || fail "the program that CMake built does not run: $(cat "$folder/err")"
fi
[ -z "$cxx" ] || try c++ "$cxx -std=c++11"
