#!/bin/sh
# Data as people have them: tables with a label, archives, gzip; classes by their names from training to evaluation.
. "$(dirname "$0")/lib.sh"

small="--width 8 --depth 1 --batch 16 --steps 3 --samples-every off"

# A table as a spreadsheet of another country writes it, with the rows' numbers that pandas adds and a label in words.
python3 - <<'END'
import random
random.seed()
rows = [(random.gauss(0, 1), random.gauss(0, 1), random.choice(["virginica", "setosa", "setosa", "versi, color"]))
        for i in range(200)]
rows += [(0.5, 0.25, name) for name in ("virginica", "setosa", "versi, color")]
with open("table.csv", "w") as file:
    file.write(";length;width;species\r\n")
    for i, (x, y, name) in enumerate(rows):
        file.write(f"{i};{x:.6f};{y:.6f};{name}\r\n".replace(".", ","))
END
refused 1 "column 'species' holds text" train table.csv --out run $small
refused 1 "has no column 'specis'; did you mean 'species'?" train table.csv --label-column specis --out run $small
[ ! -e run ] || fail "a refused training left a folder behind"
expect 0 train table.csv --label-column species --labels --out run $small
says "table.csv: 203 samples of (2)" "semicolons between columns; decimal commas; the first column" \
    "the label is column 'species'" "3 classes, setosa, versi, color, virginica"
expect 0 info run
printed "3 classes, setosa, versi, color, virginica" 'label-column         "species"'
expect 0 info run --json
json 'o["class_names"] == ["setosa", "versi, color", "virginica"] and o["classes"] == 3'
expect 0 train --resume --steps 5 --out run
says "resumes run/checkpoint-0000000003.safetensors" "3 classes, setosa"

# The label is no data where the model is not told it, either.
expect 0 train table.csv --label-column species --out plain $small
expect 0 info plain --json
json 'o["classes"] == 0 and o["sample_shape"] == [2]'

# Samples of a class by its name, or its number; files carry the classes.
expect 0 sample run --n 40 --label virginica --out v.npy
expect 0 sample run --n 40 --label 2 --out w.npy
cmp v.npy w.npy || fail "a class's name and its number draw other samples"
refused 1 "label 'virginia' is not one of the model's classes, setosa, versi, color, virginica" \
    sample run --label virginia --out x.npy
expect 0 sample run --n 60 --out s.csv
expect 0 sample run --n 60 --out s.npz
[ "$(head -n 1 s.csv)" = "x1,x2,label" ] || fail "the table of samples has no label"
python3 - <<'END' || fail "the samples' labels are not those of the data, in its shares"
import csv, struct, zipfile
rows = list(csv.DictReader(open("s.csv")))
names = [row["label"] for row in rows]
data = [row["species"] for row in csv.DictReader(open("table.csv"), delimiter=";")]
assert len(rows) == 60
for name in set(data):
    assert abs(names.count(name) - 60 * data.count(name) / len(data)) <= 1, name
bytes = zipfile.ZipFile("s.npz").read("label.npy")
start = 10 + struct.unpack("<H", bytes[8:10])[0]
assert b"'<U12'" in bytes[:start] and b"(60,)" in bytes[:start]
text = bytes[start:].decode("utf-32-le")
assert [text[12 * i:12 * i + 12].rstrip("\0") for i in range(60)] == names
bytes = zipfile.ZipFile("s.npz").read("x.npy")
start = 10 + struct.unpack("<H", bytes[8:10])[0]
x = struct.unpack("<120f", bytes[start:])
assert all(abs(float(row["x1"]) - x[2 * i]) < 1e-5 for i, row in enumerate(rows))
END

# They are read back: as labels, and no data.
for file in s.csv s.npz; do
    expect 0 eval $file table.csv --label-column species --metrics w2 --floor no --json
    json 'o["subjects"][0]["n"] == 60 and o["reference"] == 60'
    says "note: $file: " "label"
    expect 0 eval $file table.csv --label-column species --label setosa --metrics w2 --floor no
    expect 0 sample run --encode $file --out back.npy --n 5
    expect 0 likelihood run $file --n 5 --solver euler --steps 2
done
refused 1 "no sample of that class" eval s.csv table.csv --label-column species --label virginia --metrics w2
expect 0 eval run table.csv --metrics w2 --floor no # the model knows what its label's column was called
says "note: table.csv: " "the label is column 'species'"
expect 0 likelihood run table.csv --n 5 --solver euler --steps 2
expect 0 sample run --encode table.csv --n 5 --out e.csv
[ "$(head -n 1 e.csv)" = "x1,x2,label" ] || fail "encoded data lost their labels"
cut -d, -f3- e.csv | tail -n 5 >labels
tail -n +2 table.csv | head -n 5 | tr -d '\r' | sed 's/.*;//; s/.*,.*/"&"/' | cmp - labels || fail "encoded data have other labels"
printf 'x,y,species\n1,2,rosa\n3,4,setosa\n' >rosa.csv
refused 1 "rosa.csv has the class 'rosa', and the model's are setosa, versi, color, virginica" likelihood run rosa.csv
refused 1 "has the class 'rosa'" sample run --encode rosa.csv --out x.npy
refused 1 "has the class 'rosa'" eval run rosa.csv --metrics w2
printf 'x,y,species\n1,2,virginica\n3,4,virginica\n5,6,virginica\n' >one.csv # its only class has the model's number
expect 0 sample run --encode one.csv --out a.npy
printf 'x,y\n1,2\n3,4\n5,6\n' >bare.csv
expect 0 sample run --encode bare.csv --label virginica --out b.npy
cmp a.npy b.npy || fail "a class is numbered by the file, not by its name"
refused 2 "--label-column has no use without --encode" sample run --label-column species --out x.npy

# Without names, columns have numbers; and every column may be data.
tail -n +2 table.csv >bare.csv
expect 0 train bare.csv --label-column 4 --labels --out third $small
says "3 classes, setosa"
expect 0 likelihood third bare.csv --n 5 --solver euler --steps 2
printf 'x,label\n1,2\n3,4.5\n5,6\n' >pairs.csv
refused 1 "a label is 4.5" train pairs.csv --labels --out x $small
expect 0 train pairs.csv --label-column none --out pairs $small
expect 0 eval pairs pairs.csv --metrics w2 --floor no
expect 0 sample pairs --encode pairs.csv --out x.npy
rm x.npy

# Classes that are numbers stay numbers.
expect 0 train moons --labels --out moons $small
expect 0 sample moons --n 6 --out m.csv
expect 0 eval m.csv moons --label 1 --metrics w2 --floor no
expect 0 sample moons --n 6 --out m.npz
python3 - <<'END' || fail "labels are no whole numbers"
import csv, struct, zipfile
assert {row["label"] for row in csv.DictReader(open("m.csv"))} == {"0", "1"}
bytes = zipfile.ZipFile("m.npz").read("label.npy")
start = 10 + struct.unpack("<H", bytes[8:10])[0]
assert b"'<i4'" in bytes[:start] and set(struct.unpack("<6i", bytes[start:])) == {0, 1}
END
expect 0 sample moons --n 6 --logp --solver euler --steps 2 --out p.csv
[ "$(head -n 1 p.csv)" = "x1,x2,logp,label" ] || fail "log densities and labels do not stand beside each other"
expect 0 sample plain --n 3 --out p.csv
[ "$(wc -l <p.csv)" -eq 3 ] || fail "samples without classes got a heading"

# Archives: which arrays are taken is said, and another may be named.
python3 - <<'END'
import struct, warnings, zipfile
def npy(shape, values):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % (shape,)
    header += " " * (64 - (10 + len(header) + 1) % 64) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + struct.pack("<%df" % len(values), *values)
warnings.simplefilter("ignore")
with zipfile.ZipFile("a.npz", "w", zipfile.ZIP_BZIP2) as file:
    file.writestr("x_test.npy", npy((100, 3), [0] * 300))
    file.writestr("x_train.npy", npy((50, 2), [0] * 100))
    file.writestr("y_train.npy", npy((100,), [i % 4 for i in range(100)]))
    file.writestr("x_train.npy", npy((100, 2), [i % 7 for i in range(200)]))
END
expect 0 train a.npz --labels --out archive $small
says "100 samples of (2)" "the samples are array x_train, the labels y_train" "4 classes, 0 to 3"
expect 0 train a.npz:x_test --out other $small
says "a.npz:x_test: 100 samples of (3)" "the samples are array x_test"
refused 1 "a.npz holds no array 'x_tset'; did you mean 'x_test'?" train a.npz:x_tset --out x $small
refused 1 "holds no array 'z'" train a.npz --label-column z --labels --out x $small

# Gzip.
gzip -k table.csv
expect 0 train table.csv.gz --label-column species --labels --out packed $small
says "table.csv.gz: 203 samples of (2)" "3 classes"
expect 0 sample run --n 5 --out g.npy
gzip -k g.npy
expect 0 sample run --encode g.npy.gz --label setosa --out h.npy
expect 0 sample run --encode g.npy --label setosa --out i.npy
cmp h.npy i.npy || fail "a gzipped array is read as another"
