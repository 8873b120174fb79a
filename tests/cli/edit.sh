#!/bin/sh
# Samples that begin with data: gone on with from some time, and painted anew in part.
. "$(dirname "$0")/lib.sh"

cat >arrays.py <<'END'
import ast, struct
def load(path):
    content = open(path, "rb").read()
    size = struct.unpack("<H", content[8:10])[0]
    about = ast.literal_eval(content[10:10 + size].decode())
    return about["shape"], struct.unpack("<%df" % ((len(content) - 10 - size) // 4), content[10 + size:])
def save(path, shape, values):
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % (shape,)
    head += " " * (63 - (len(head) + 10) % 64) + "\n"
    open(path, "wb").write(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() + struct.pack("<%df" % len(values), *values))
END
python3 - <<'END' || fail "no data"
import os, random, struct, zlib
from arrays import save
def png(name, kind, rows):
    def chunk(tag, data):
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    width = len(rows[0]) // (3 if kind == 2 else 1)
    open(name, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), 8, kind, 0, 0, 0))
                           + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))) + chunk(b"IEND", b""))
for k in range(24):
    png("set/%s/%d.png" % (("cat", "owl")[k % 2], k), 2, [[random.randint(0, 255) for _ in range(12)] for _ in range(5)])
png("mask.png", 0, [[255 if x >= 2 else 0 for x in range(4)] for y in range(5)])   # the right half is painted anew
png("small.png", 0, [[255, 0], [0, 0]])
png("large.png", 0, [[255 if (y, x) == (9, 7) else 0 for x in range(8)] for y in range(10)])
save("mask.npy", (5, 4), [float(x >= 2) for y in range(5) for x in range(4)])
END
expect 0 train set --labels --label-drop 0.2 --out run --width 16 --depth 2 --batch 16 --steps 30 --samples-every off

# The kept half is the picture's, bit for bit, in each of the four; the other half differs from it, and among them.
painted="sample run --decode set/owl/1.png --label owl --n 4 --mask"
expect 0 $painted mask.png --steps 5 --out a.npy
printed "4 samples by euler in 5 steps, beside what is kept: "
expect 0 $painted mask.npy --steps 5 --out b.npy
cmp a.npy b.npy || fail "a picture and an array of the same mask paint otherwise"
expect 0 $painted mask.png --out c.npy --batch 3 --guidance 2 --from-time 0.3 --solver dopri5 --json
json 'o["from_time"] == 0.3 and o["mask"] == "mask.png" and o["guidance"] == 2 and o["unfinished"] == 0'
python3 - <<'END' || fail "what is kept is not the picture"
import png
from arrays import load
rows, _ = png.read("set/owl/1.png")
picture = [rows[y][3 * x + c] / 127.5 - 1 for c in range(3) for y in range(5) for x in range(4)]
for name in ("a.npy", "c.npy"):
    shape, values = load(name)
    assert shape == (4, 3, 5, 4), shape
    samples = [values[60 * i:60 * i + 60] for i in range(4)]
    for i in range(60):
        column = [sample[i] for sample in samples]
        if i % 4 < 2:
            assert len(set(column)) == 1 and abs(column[0] - picture[i]) < 1e-6
        else:
            assert len(set(column)) == 4 and all(abs(v - picture[i]) > 1e-6 for v in column)
END

# From a late time little is new, and the seed says what.
expect 0 sample run --decode set --steps 4 --from-time 0.99 --out late.npy
printed "24 samples by euler in 4 steps from time 0.99"
expect 0 sample run --decode set --steps 4 --from-time 0.2 --out early.npy
expect 0 sample run --decode set --steps 4 --from-time 0.2 --seed 3 --out other.npy
cmp -s early.npy other.npy && fail "another seed gives the same samples"
python3 - <<'END' || fail "a later beginning is not nearer to the data"
import png, os
from arrays import load
names = sorted("set/%s/%d.png" % (("cat", "owl")[k % 2], k) for k in range(24))
pictures = [[png.read(n)[0][y][3 * x + c] / 127.5 - 1 for c in range(3) for y in range(5) for x in range(4)] for n in names]
far = lambda values: sum((v - p) ** 2 for v, p in zip(values, sum(pictures, []))) / len(values)
late, early = far(load("late.npy")[1]), far(load("early.npy")[1])
print(late, early)
assert late < 0.01 < early
END

# A mask of another size stays sharp: what is white is painted, and nothing else; in what became smaller all of it.
for mask in small large; do
    expect 0 $painted $mask.png --steps 2 --out other.npy
    says "note: $mask.png: brought from "
    python3 - $mask <<'END' || fail "$mask.png does not paint what it shows"
import sys
from arrays import load
shape, values = load("other.npy")
white = {"small": [(y, x) for y in range(2) for x in range(2)], "large": [(4, 3)]}[sys.argv[1]]
for i in range(60):
    anew = len(set(values[60 * k + i] for k in range(4))) == 4
    assert anew == ((i % 20 // 4, i % 4) in white), i
END
done

refused 2 "--mask has no use without --decode" sample run --mask mask.png --out x.npy
refused 2 "--from-time has no use without --decode" sample run --from-time 0.5 --encode set --out x.npy
refused 2 "expected a number from 0.0001 to 0.9999" sample run --from-time 1 --decode set --out x.npy
refused 1 "1.png is a picture, and --decode begins with noise: --from-time 0.5 would begin with the picture" \
    sample run --decode set/owl/1.png --label owl --n 2 --out x.npy
refused 1 "late.npy holds 24 samples, not the 25 that were asked for" sample run --decode late.npy --label owl --n 25 --out x.npy
refused 1 "cannot read nowhere.npy" sample run --decode set --mask nowhere.npy --out x.npy
seq 7 >seven.csv
refused 1 "seven.csv has 7 numbers: a mask has those of one sample, 60, or of all 24 samples" sample run --decode set --mask seven.csv --out x.npy
[ ! -e x.npy ] || fail "a refused call wrote a file"
exit 0
