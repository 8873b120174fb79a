#!/bin/sh
# The README's own commands, in their order, as a new user runs them after the set-up; trainings, measurements and
# checks are cut short. $2: the sources; $3: where meson has put the library's pkg-config file; $4: the
# compiler that stands for cc.
. "$(dirname "$0")/lib.sh"
sources=$2
PKG_CONFIG_PATH=$3
compiler=$4
XDG_CACHE_HOME=$folder/cache # the table that tune writes is not for other tests
export PKG_CONFIG_PATH XDG_CACHE_HOME
cp -R "$sources/examples" .

# Lines that are indented by four blanks, outside of ``` fences; a line that ends in \ goes on.
awk '/^```/ { fenced = !fenced } /^    / && !fenced { print substr($0, 5) }' "$sources/README.md" >commands
[ "$(grep -c '^flowcl ' commands)" -ge 20 ] || fail "the README has lost its commands"

# The two that set up are what the tests themselves come from.
grep -v '^tools/' commands | sed -e 's/ --steps [0-9]*//' -e 's/^flowcl train /&--steps 100 /' \
    -e '/^flowcl train.*fashion/s/--steps 100/--steps 10/' -e 's/--n 80/--n 10 --steps 5/' \
    -e 's/^flowcl classify /&--steps 4 --data-count 2000 /' -e 's/--n 2000 --solver midpoint --chart/--n 100 --steps 2 --chart/' \
    -e 's/^flowcl tune /&--seconds 0.1 /' -e "s/^cc /$compiler /" -e 's/ --quick//' -e 's/^flowcl bench /&--quick /' \
    -e 's/^flowcl verify/& --only path/' >run
has_charts || sed -i '/^flowcl bench/s/ --chart bench.png//' run
[ -e /usr/share/datasets/fashion-mnist ] || images=absent
PATH=$(dirname "$flowcl"):$PATH

# What begins with a picture, in fences, by a model of the fenced training: smaller, but with its data and classes.
python3 - <<'END'
import os, struct, zlib
def chunk(tag, data):
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
for name in ("photos/cat/1", "photos/cat/2", "photos/dog/1", "photos/dog/2", "sketch", "photo", "hole"):
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    rows = b"".join(b"\0" + os.urandom(3 * 32) for _ in range(32))
    open(name + ".png", "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)) +
                                    chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
END
sed -e 's/ *#.*//' -n -e 's/^flowcl train photos .*--out runs\/photos$/& --model mlp --width 8 --steps 1 --samples-every off/p' \
    "$sources/README.md" >fenced
grep '^flowcl sample runs/photos --decode' "$sources/README.md" >>fenced
[ "$(wc -l <fenced)" -eq 3 ] || fail "the README has lost how pictures are begun with: $(cat fenced)"
cat fenced >>run

command=
while IFS= read -r line; do
    case $line in
    *\\) command="$command${line%\\} " && continue ;;
    esac
    command=$command$line
    case "${images-}$command" in
    absent*fashion*) ;;
    *) sh -euc "$command" >out 2>err </dev/null || fail "the README's command fails: $command" ;;
    esac
    command=
done <run
