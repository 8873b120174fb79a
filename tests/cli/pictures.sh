#!/bin/sh
# A folder of pictures as people have them: every subcommand that reads data takes it; what cannot be read is named.
. "$(dirname "$0")/lib.sh"

small="--width 8 --depth 1 --batch 16 --steps 4 --samples-every 4"

cat >write.py <<'END'
import os, random, struct, zlib
random.seed()

def png(name, width, height, kind, depth, rows, extra=b""):
    """kind: 0 grey, 2 RGB, 3 palette, 6 RGBA; rows of packed bytes."""
    os.makedirs(os.path.dirname(name), exist_ok=True)
    def chunk(tag, data):
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
    content = b"".join(b"\0" + row for row in rows)
    open(name, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
                           + extra + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b""))

def rgb(name, width, height):
    png(name, width, height, 2, 8, [os.urandom(3 * width) for _ in range(height)])

for k in range(24):
    rgb("set/%s/%d.png" % (("cat", "dog", "owl")[k % 3], k), 6, 6)
    rgb("sizes/%d.png" % k, random.randint(4, 12), random.randint(4, 12))
# 16 bits: 0x80 above, 0 below; a palette of green and blue: read rightly
png("kinds/16.png", 2, 2, 0, 16, [b"\x80\x7f\x80\x7f", b"\0\0\0\0"])
palette = b"\0\xff\0\0\0\xff"
plte = struct.pack(">I", 6) + b"PLTE" + palette + struct.pack(">I", zlib.crc32(b"PLTE" + palette))
png("kinds/p.png", 2, 2, 3, 1, [b"\x40", b"\x80"], plte)
for k in range(3):
    rgb("hurt/%d.png" % k, 5, 5)
hurt = bytearray(open("hurt/1.png", "rb").read())
hurt[60] ^= 1
open("hurt/1.png", "wb").write(hurt)
os.makedirs("print", exist_ok=True)
open("print/a.jpg", "wb").write(b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 20, 8, 8, 8, 4) +
                                b"".join(bytes([i, 0x11, 0]) for i in range(1, 5)) +
                                b"\xff\xda\0\x0e\4\1\0\2\0\3\0\4\0\0\x3f\0")
os.makedirs("bare", exist_ok=True)
open("bare/notes.txt", "w").write("nothing to see")
open("labels.csv", "w").write("file,label\n" + "".join("%s,%s\n" % (name, name[-5]) for name in
                              ("cat/%d.png" % k for k in range(0, 24, 3))))
names = [("cat", "dog", "owl")[k % 3] + "/%d.png" % k for k in range(24)]
open("one.csv", "w").write("file,label\n" + "".join("%s,%s\n" % (name, name[:3]) for name in names if name != "owl/8.png"))
open("hole.csv", "w").write("file,label\n" + "".join("%s,%s\n" % (name, name[:3] if name != "dog/1.png" else "") for name in names))
# what kinds/ shows, as bytes (N, H, W, C)
shown = b"\x80" * 6 + b"\0" * 6 + palette + palette[3:] + palette[:3]
header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 2, 3), }".ljust(117) + b"\n"
open("kinds.npy", "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + shown)
END
python3 write.py

# What is wrong is one sentence, with what and where.
refused 1 "the folder bare holds no pictures, PNG or JPEG, and no .npy files, nor do its subfolders (other files: 1): name the one that they lie in" \
    train bare --out run $small
refused 1 "hurt/1.png is damaged: libpng says" train hurt --out run $small
says "skip-damaged leaves such files away"
refused 1 "sizes holds pictures of several sizes, width by height" train sizes --out run $small
says "image-size brings them to one"
expect 1 train print --out run $small
grep -q "print/a.jpg is a CMYK JPEG.*: save it as RGB\|print/a.jpg is a JPEG, and this build reads none" err ||
    fail "a CMYK JPEG is not named"
refused 1 "the folder print holds no pictures that can be read (damaged: 1), the first: print/a.jpg is a" \
    train print --skip-damaged --out run $small
refused 1 "labels.csv has no row for the picture dog/1.png of set, nor for 15 others: each needs one, file and label" \
    train set --label-file labels.csv --labels --out run $small
refused 1 "one.csv has no row for the picture owl/8.png of set: each needs one" train set --label-file one.csv --labels --out run $small
refused 1 "hole.csv, line 3: the label of dog/1.png is missing: fill it in" train set --label-file hole.csv --labels --out run $small
refused 2 "label-file has no use without labels" train set --label-file labels.csv --out run $small
refused 2 'image-size: "12y" is not usable' train sizes --image-size 12y --out run $small
refused 1 "image-size has no use with moons" train moons --image-size 12 --out run $small
refused 1 "skip-damaged has no use with set/cat/0.png" train set/cat/0.png --skip-damaged --out run $small
refused 1 "kinds has no labels; train without them" train kinds --labels --out run $small
refused 1 "hflip mirrors pictures, and the samples of moons, (2,), are none" train moons --hflip --out run $small
[ ! -e run ] || fail "a refused training left a folder behind"

expect 0 train hurt --skip-damaged --out hurt-run $small
says "hurt: 2 samples of (3, 5, 5)" "skipped: 1 damaged (the first: hurt/1.png is damaged"

# Training, samples of a class, resuming, evaluating, densities; the folder's classes are in the checkpoint.
expect 0 train set --labels --out run $small
says "set: 24 samples of (3, 6, 6), on the device" "3 classes, cat, dog, owl"
python3 -c 'import png; rows, channels = png.read("run/samples-0000000004.png"); assert channels == 3, channels' ||
    fail "the samples are not in colour"
refused 1 "it was trained with hflip no, not yes" train --resume --steps 6 --hflip --out run
expect 0 train --resume --steps 6 --out run
expect 0 sample run --n 4 --label owl --out owl.png
expect 0 sample run --n 8 --out eight.npz
expect 0 eval run set --n 20 --metrics w2 --floor no --json
expect 0 eval run sizes --n 20 --label-column none --metrics sliced --floor no
says "brought to 6 x 6, height by width"
# Pictures that any program has drawn are samples.
expect 0 eval sizes set --metrics w2 --floor no
printed "24 samples of sizes" "against 24 of the 24 of set"
expect 0 sample run --encode set --solver midpoint --steps 2 --out noise.npy
expect 0 sample run --encode set/dog/1.png --label dog --solver midpoint --steps 2 --out noise.npy
refused 2 "--image-size has no use without --encode" sample run --image-size 6 --out x.npy

# Streamed, the same numbers come out, to the last digit; and the data are known again.
expect 0 train set --labels --out memory $small --steps 6
expect 0 train set --labels --out streamed $small --steps 6 --stream-data
says "set: 24 samples of (3, 6, 6), in the folder" "24 pictures stay in the folder"
python3 - <<'END' || fail "a streamed training gives other numbers"
import json
a, b = ([json.loads(line) for line in open(name + "/metrics.jsonl")] for name in ("memory", "streamed"))
assert len(a) == len(b) and all(x[key] == y[key] for x, y in zip(a, b) for key in ("step", "loss", "gradient_norm"))
END
expect 0 train --resume --steps 8 --stream-data --out memory
mv set moved
expect 0 train moved --resume --steps 10 --out memory

expect 0 train kinds --image-size 2 --out kinds-run --width 8 --depth 1 --batch 2 --steps 1 --samples-every off
says "2 samples of (3, 2, 2)" "1 of grey as colour"
expect 0 eval kinds kinds.npy --metrics w2 --floor no --json
json 'o["metrics"]["w2"]["value"] == 0' # 16 bits and a palette are read rightly
