#!/bin/sh
# Pictures in every form: a grid with a row for each class, a folder of files, bytes in an archive.
. "$(dirname "$0")/lib.sh"

cat >arrays.py <<'END'
import ast, struct, zipfile
def parse(content):
    size = struct.unpack("<H", content[8:10])[0]
    about = ast.literal_eval(content[10:10 + size].decode())
    count = 1
    for side in about["shape"]:
        count *= side
    letter = {"|u1": "B", "<u1": "B", "<f4": "f", "<i4": "i"}.get(about["descr"])
    data = content[10 + size:]
    return about["shape"], about["descr"], struct.unpack("<%d%s" % (count, letter), data) if letter else data
def load(path):
    return parse(open(path, "rb").read())
def entries(path):
    with zipfile.ZipFile(path) as file:
        return {name[:-4]: parse(file.read(name)) for name in file.namelist()}
END
python3 - <<'END' || fail "no data"
import os, random, struct, zlib
def png(name, pixels):
    def chunk(tag, data):
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
    os.makedirs(os.path.dirname(name), exist_ok=True)
    rows = b"".join(b"\0" + bytes(pixels[12 * y:12 * y + 12]) for y in range(5))
    open(name, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 5, 8, 2, 0, 0, 0))
                           + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
for k in range(30):
    png('set/%s/%d.png' % (('a "b", c', "red", "sea")[k % 3], k), [random.randint(0, 255) for _ in range(60)])
END
expect 0 train set --labels --out run --width 16 --depth 2 --batch 16 --steps 30 --samples-every off
few="--n 7 --steps 4"

expect 0 sample run $few --out numbers.npy
expect 0 sample run $few --out bytes.npz
printed "7 samples by euler in 4 steps" "written to bytes.npz: bytes (N, H, W, C) as arr_0"
expect 0 sample run $few --out files/ --logp --divergence hutchinson
printed "written to files/: a picture each, 00000.png and so on"
python3 - <<'END' || fail "the bytes are not the numbers"
import csv, png
from arrays import *
shape, _, numbers = load("numbers.npy")
assert shape == (7, 3, 5, 4), shape
arrays = entries("bytes.npz")
assert set(arrays) == {"arr_0", "arr_1"}, set(arrays)
shape, kind, data = arrays["arr_0"]
assert shape == (7, 5, 4, 3) and kind in ("|u1", "<u1"), (shape, kind)
for i in range(7):
    rows, channels = png.read("files/%05d.png" % i)
    assert channels == 3 and len(rows) == 5
    for y in range(5):
        for x in range(4):
            for c in range(3):
                byte = data[((i * 5 + y) * 4 + x) * 3 + c]
                wanted = (numbers[((i * 3 + c) * 5 + y) * 4 + x] + 1) * 127.5
                assert byte == rows[y][3 * x + c]
                assert abs(byte - min(max(wanted, 0), 255)) <= 0.501, (byte, wanted)
table = list(csv.DictReader(open("files/pictures.csv")))
assert [row["file"] for row in table] == ["%05d.png" % i for i in range(7)]
assert all(float(row["logp"]) == float(row["logp"]) for row in table)
words = arrays["arr_1"][2].decode("utf-32-le")
width = len(words) // 7
assert [words[width * i:width * i + width].rstrip("\0") for i in range(7)] == [row["label"] for row in table]
assert set(row["label"] for row in table) == {'a "b", c', "red", "sea"}
END

# Both are read back, with their labels.
expect 0 eval bytes.npz set --metrics w2 --floor no --json
json 'o["subjects"][0]["n"] == 7'
expect 0 train files --label-file files/pictures.csv --labels --out again --width 8 --depth 1 --batch 4 --steps 1 --samples-every off
says '3 classes, a "b", c, red, sea'
refused 1 "holds pictures already, 0000" sample run $few --out files
refused 1 "cannot make the folder no/such/" sample run $few --out no/such/
refused 2 "--times makes one array" sample run $few --out new/ --times 3
[ ! -e new ] && [ ! -e no ] || fail "a refused call left a folder"
expect 0 sample run --steps 2 --encode set/red/1.png --label red --out noise.npz # noise is no picture
python3 -c 'from arrays import *; shape, kind, _ = entries("noise.npz")["x"]; assert shape == (1, 3, 5, 4) and kind == "<f4"' ||
    fail "noise was written as bytes"

# A name with commas is one class. The picture of a list has a row for each class, in the order of their numbers.
expect 0 sample run --n 6 --steps 4 --label 'a "b", c' --out one.png
expect 0 sample run --n 5 --steps 4 --label sea,red --out rows.png
printed "written to rows.png: a row for each class"
expect 0 sample run --n 5 --steps 4 --label sea,red --out rows.npz
python3 - <<'END' || fail "the rows are not those of the classes"
import png
from arrays import *
data = entries("rows.npz")["arr_0"][2]
rows, channels = png.read("rows.png")
scale = 8                                            # the largest: 3 pictures of 4 x 5 a row
width, height = 4 * scale + 2, 5 * scale + 2
assert len(rows) == 2 * height + 2 and len(rows[0]) == 3 * (3 * width + 2), (len(rows), len(rows[0]))
def corner(row, column):
    at = 2 + column * width
    return tuple(rows[2 + row * height][3 * at:3 * at + 3])
first = [tuple(data[60 * i:60 * i + 3]) for i in range(5)]   # samples 0 to 2 are sea, 3 and 4 red
assert [corner(1, k) for k in range(3)] == first[:3] and [corner(0, k) for k in range(2)] == first[3:]
assert corner(0, 2) == (255, 255, 255)
END

expect 0 train moons --out points --width 8 --depth 1 --batch 8 --steps 1 --samples-every off
refused 1 "samples of shape (2,) are neither points" sample points --n 4 --out dots/
expect 0 sample points --n 4 --out points.npz
python3 -c 'from arrays import *; assert entries("points.npz")["x"][:2] == ((4, 2), "<f4")' || fail "points are no pictures"
exit 0
