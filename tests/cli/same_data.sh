#!/bin/sh
# A resumed run knows its data by what they hold, wherever they lie, and says how its learning rate goes on.
. "$(dirname "$0")/lib.sh"

small="--width 8 --depth 1 --batch 16 --metrics-every 10"

python3 - <<'END'
import random
random.seed()
rows = [f"{random.randint(-999, 999) / 256},{random.randint(-999, 999) / 256}" for i in range(50)]
changed = rows[:]
changed[random.randrange(50)] = "7.5,-7.5"
for name, table in ("data", rows), ("changed", changed), ("longer", rows + ["1,2"]), ("turned", rows[::-1]):
    open(name + ".csv", "w").write("\n".join(table) + "\n")
END
mkdir elsewhere
cp data.csv elsewhere/moved.csv
expect 0 train data.csv --out run --steps 4 --schedule constant $small

# What is kept of them: how many, and CRC-32 of the numbers as they lie in memory.
expect 0 info run --json
json '(lambda x: o["data_content"] == "50 samples of (2,), checksum %08x" % __import__("zlib").crc32(__import__("struct").pack("<100f", *x)))(
    [float(v) for v in open("data.csv").read().replace(",", " ").split()])'
expect 0 info run
printed "data        50 samples of (2,), checksum "

# The same data, and the folder from somewhere else.
expect 0 train "$folder/data.csv" --out run --resume --steps 6
expect 0 train elsewhere/moved.csv --out run --resume --steps 8
(cd elsewhere && "$flowcl" train moved.csv --out ../run --resume --steps 10 >../out 2>../err) ||
    fail "the data are not known again from another folder"
grep -q '^data: moved.csv ' run/config.yaml || fail "the new place is not kept"
expect 1 train longer.csv --out run --resume --steps 20
says "51 samples of (2,)"
expect 0 train data.csv --data-count 50 --out run --resume --steps 12
grep -q '^warning' err && fail "the same data were remarked on"

# Other data in their place.
cp data.csv kept.csv
for other in changed turned; do
    cp $other.csv data.csv
    expect 1 train --out run --resume --steps 20
    says "flowcl: cannot resume from run/checkpoint-0000000012.safetensors: it was trained with data data.csv" \
        "50 samples of (2,), checksum" "--data-changed"
done
expect 1 train moons --out run --resume --steps 20
says "data data.csv, not moons"
expect 1 train data.csv --data-count 49 --out run --resume --steps 20
says "49 samples of (2,)"
expect 0 train --out run --resume --steps 14 --data-changed
says "warning the data changed: 50 samples of (2,)"
cp kept.csv data.csv
expect 1 train --out run --resume --steps 20 # now those were the data
expect 0 train turned.csv --out run --resume --steps 16
refused 1 "data-changed has no use without resume" train moons --out other --data-changed
printf '1,2,3\n4,5,6\n' >three.csv
expect 1 train three.csv --data-count 2 --out run --resume --steps 20 --data-changed
says "samples of another shape"

# The cosine over twice the steps: 0.002 (1 + cos(pi / 2)) / 2 after 0.002 (1 + cos(pi 39/40)) / 2.
expect 0 train data.csv --out cosine --steps 40 --lr 0.002 $small
expect 0 train --out cosine --resume --steps 80
says "warning the learning rate goes on with 0.001, and was 3.08e-06 at step 40"
exit 0
