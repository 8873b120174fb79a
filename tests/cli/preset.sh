#!/bin/sh
# train --preset: each parses, begins, and is in effect; what overrides what; and where they are found. $2: the sources.
. "$(dirname "$0")/lib.sh"
sources=$2

# 24 pictures with classes, as a set by path and as a folder of the name that a preset has for its data.
cat >pictures.py <<'END'
import os, random, struct, zipfile, zlib
random.seed()
def npy(kind, shape, packed):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (kind, shape)
    head += " " * (63 - (len(head) + 10) % 64) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() + packed
with zipfile.ZipFile("pictures.npz", "w") as file:
    file.writestr("x.npy", npy("|u1", (24, 1, 8, 8), os.urandom(24 * 64)))
    file.writestr("y.npy", npy("<i8", (24,), struct.pack("<24q", *[k % 3 for k in range(24)])))
def chunk(tag, data):
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
for k in range(24):
    name = "emoji/%s/%d.png" % ("abc"[k % 3], k)
    os.makedirs(os.path.dirname(name), exist_ok=True)
    rows = b"".join(b"\0" + os.urandom(24) for _ in range(8))
    open(name, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)) +
                           chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
END
python3 pictures.py || fail "no pictures"

# in_effect RUN PRESET KEYS: the run's configuration is the preset's but for these keys.
in_effect() {
    python3 - "$1/config.yaml" "$sources/tools/presets/$2.yaml" "$3" <<'END' || fail "$1 is not as the preset $2 says"
import sys
def read(path):
    lines = (line.split("#")[0].partition(":") for line in open(path))
    return {key.strip(): value.strip().strip("\"'") for key, colon, value in lines if colon}
run, preset, others = read(sys.argv[1]), read(sys.argv[2]), sys.argv[3].split()
assert len(preset) > 6, preset
wrong = {key: (run.get(key), value) for key, value in preset.items() if key not in others and run.get(key) != value}
assert not wrong, wrong
END
}

# The list; every one of them is in the sources, says what it is, and stands in the README.
expect 0 train --preset
sed '$d' out >list
cp list out
narrow
sed -n 's/^  \([a-z0-9-]*\)  *[A-Z].*/\1/p' list >names
[ "$(cat names)" = "$(cd "$sources/tools/presets" && ls -- *.yaml | sed 's/\.yaml$//')" ] || fail "the list is not the presets"
expect 0 train --preset --steps 5
sed '$d' out | cmp -s - list || fail "the list is another before another option"
# Who trains, and names none, is not shown a list.
for arguments in "moons --preset" "moons --preset=" "--preset --out run" "--preset= --out run"; do
    # shellcheck disable=SC2086 # a list of words
    refused 2 "--preset needs a name" train $arguments
done
refused 2 "--preset needs a name" train --preset "" --out run
expect 0 help train
printed "--preset [NAME]" "--preset alone lists which there are"

# shellcheck disable=SC2013 # a word a line
for name in $(cat names); do
    grep -q "\`$name\`" "$sources/README.md" || fail "the README does not tell of $name"
    case $name in
    *-mlp) smaller="--width 8 --depth 2" ;;
    *-unet) smaller="--multipliers 1,1" ;;
    *-dit) smaller="--width 12 --depth 1" ;;
    esac
    # shellcheck disable=SC2086 # a list of words
    expect 0 train pictures.npz --preset "$name" --steps 2 --batch 4 --warmup 0 --samples-every off $smaller --out "$name"
    says "preset  $name" "pictures.npz: 24 samples" "3 classes"
    in_effect "$name" "$name" "data steps batch warmup width depth multipliers"
done

# The preset's own data; --config overrides the preset, the command line both, a checkpoint the preset.
printf 'multipliers: "1,1"\nbatch: 3\nsteps: 9\nsamples-every: off\n' >own.yaml
expect 0 train --preset emoji-unet --config own.yaml --warmup 0 --steps 1 --out own
says "emoji: 24 samples of (3, 8, 8)"
in_effect own emoji-unet "multipliers batch steps warmup"
grep -q '^batch: 3 ' own/config.yaml && grep -q '^steps: 1 ' own/config.yaml || fail "a preset overrides what it should not"
expect 0 train --preset emoji-unet --resume --out own
says "all 1 steps are done already"
expect 0 train --resume --steps 2 --out own
says "step 2/2"
# Of data that are yet to be made it is told how.
mv emoji made
refused 1 'the data of the preset emoji-unet, emoji, are not here: "tools/emoji.sh emoji" in flowcl' train --preset emoji-unet --out run
says "presets/emoji-unet.yaml tells; or name other DATA"
mv made emoji
# A model that is chosen beside it, also by --config, takes of the preset the data, classes and steps, and has its own defaults.
expect 0 train pictures.npz --preset fashion-mnist-unet --model mlp --steps 1 --samples-every off --out other
says "preset  fashion-mnist-unet, but for its model"
expect 0 train pictures.npz --labels --label-drop 0.1 --model mlp --steps 1 --samples-every off --out own-mlp
diff other/config.yaml own-mlp/config.yaml >differs || fail "a perceptron has something of a U-Net's preset: $(cat differs)"
printf 'model: dit\n' >dit.yaml
expect 0 train pictures.npz --preset fashion-mnist-mlp --config dit.yaml --depth 1 --steps 1 --samples-every off --out other-dit
expect 0 train pictures.npz --labels --label-drop 0.1 --model dit --depth 1 --steps 1 --samples-every off --out own-dit
diff other-dit/config.yaml own-dit/config.yaml >differs || fail "a transformer has something of a perceptron's preset: $(cat differs)"
# The same model by its name is no other one.
expect 0 train pictures.npz --preset fashion-mnist-dit --model dit --width 12 --depth 1 --steps 1 --samples-every off --out same
grep -q '^heads: 6 ' same/config.yaml && grep -q '^schedule: cosine ' same/config.yaml || fail "the preset's own model is not as it says"
# Without classes there is none to leave out; a shorter training warms up for a tenth of it, unless that is said, too.
fast="--width 12 --depth 1 --batch 4 --samples-every off"
# shellcheck disable=SC2086 # lists of words
expect 0 train pictures.npz --preset fashion-mnist-dit --no-labels --steps 10 $fast --out plain
grep -q '^warmup: 1 ' plain/config.yaml && grep -q '^label-drop: 0 ' plain/config.yaml || fail "a preset is held against its user"
# shellcheck disable=SC2086
expect 0 train --preset fashion-mnist-dit --resume --steps 11 $fast --out plain
# shellcheck disable=SC2086
refused 2 "label-drop" train pictures.npz --preset fashion-mnist-dit --no-labels --label-drop 0.1 --steps 2 $fast --out run
# shellcheck disable=SC2086
refused 2 "a warm-up of 500 steps is longer" train pictures.npz --preset fashion-mnist-dit --warmup 500 --steps 10 $fast --out run

refused 2 'no preset "fashion-mnist-uent"; did you mean fashion-mnist-unet?' train --preset fashion-mnist-uent --out run
refused 2 'no preset "qqq", but emoji-unet, fashion-mnist-dit, ' train --preset qqq --out run
refused 2 "a file of your own, as ./own.yaml, is read by --config" train --preset ./own.yaml --out run
refused 2 "--out DIR is needed" train --preset emoji-unet
[ ! -e run ] || fail "a refused training left a folder behind"

# Installed anywhere: beside the program, whatever link it is called by. Without any a sentence tells where they would be.
mkdir -p "far away/bin"
cp "$flowcl" "far away/bin/flowcl"
ln -s "far away/bin/flowcl" called
LD_LIBRARY_PATH=$(dirname "$flowcl")/../src
export LD_LIBRARY_PATH
flowcl=$folder/called
refused 1 "no presets beside it, neither in $folder/far away/bin/presets nor in $folder/far away/bin/../share/flowcl/presets" \
    train --preset
mkdir -p "far away/share/flowcl/presets"
printf '# mine\ndata: moons\nwidth: 8\ndepth: 1\nbatch: 4\nsteps: 1\n' >"far away/share/flowcl/presets/mine.yaml"
expect 0 train --preset
printed "  mine                 mine" "$folder/far away/share/flowcl/presets"
expect 0 train --preset mine --out mine
printf 'wdith: 8\n' >"far away/share/flowcl/presets/wrong.yaml"
refused 1 "wrong.yaml:1:1: unknown option wdith; did you mean width?" train --preset wrong --out run
exit 0
