#!/bin/sh
# A run's history in one picture: each step a row, from the same noise, in whichever parts the run was trained.
. "$(dirname "$0")/lib.sh"

python3 - <<'END'
import os
def write(name, shape, numbers):
    head = "{'descr': '|u1', 'fortran_order': False, 'shape': (%s), }" % shape
    head += " " * (117 - len(head)) + "\n"
    open(name, "wb").write(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + numbers)
write("set.npy", "70, 3, 5, 4", os.urandom(70 * 60))
END
small="--width 8 --depth 1 --batch 16 --samples-every 1 --checkpoint-every 3 --seed 4 --schedule constant"
# shown FILE: how many steps and pictures a sheet of pictures of 5 x 4, enlarged 8 times, has.
shown() {
    python3 -c 'import png, sys; rows, channels = png.read(sys.argv[1]); print((len(rows) - 46) / 42, (len(rows[0]) // channels - 100) / 34)' "$1"
}

expect 0 train set.npy --out once --steps 14 $small
[ "$(shown once/history.png)" = "12.0 16.0" ] || fail "a sheet of twelve steps and sixteen pictures is $(shown once/history.png)"
expect 0 train set.npy --out parts --steps 6 $small
[ "$(shown parts/history.png)" = "6.0 16.0" ] || fail "a sheet of six steps is $(shown parts/history.png)"
rm parts/history.png
expect 0 train --out parts --resume --steps 6
[ "$(shown parts/history.png)" = "6.0 16.0" ] || fail "a run that is done has no sheet again"
expect 0 train --out parts --resume --steps 14
cmp once/history.png parts/history.png || fail "resuming changed the sheet"

# --- pictures that are not as they were ---
head -c 200 parts/samples-0000000003.png >cut && mv cut parts/samples-0000000003.png
cp once/history.png parts/samples-0000000004.png
rm parts/samples-0000000006.png
touch parts/samples-of-mine.png parts/samples-0000000009.npy
expect 0 train --out parts --resume --steps 16
says "warning history.png is drawn without parts/samples-0000000003.png:"
[ "$(grep -c '^warning' err)" -eq 1 ] || fail "a damaged picture is told more than once"
[ "$(shown parts/history.png)" = "10.0 16.0" ] || fail "a sheet without two of twelve steps is $(shown parts/history.png)"
# Where steps are done again the sheet ends with the newest of them.
rm parts/checkpoint-0000000016.safetensors
expect 0 train --out parts --resume --steps 15
[ -s parts/samples-0000000016.png ] || fail "a picture of a later step is gone"
cp parts/history.png until.png
rm parts/samples-0000000016.png
expect 0 train --out parts --resume --steps 15
cmp until.png parts/history.png || fail "a sheet of fifteen steps has a later one"

# --- points, and what is not drawn ---
expect 0 train moons --labels --out points --steps 2 $small
[ "$(python3 -c 'import png; rows, channels = png.read("points/history.png"); print(len(rows), len(rows[0]))')" = "286 $((3 * 528))" ] ||
    fail "a sheet of two drawings of points"
mkdir blocked blocked/history.png # a folder stands where the sheet goes
expect 0 train moons --out blocked --steps 3 $small
says "warning cannot" "it is a folder"
[ "$(grep -c '^warning' err)" -eq 1 ] || fail "a sheet that cannot be written is told more than once"
printf '%s\n' 1 2 3 4 5 6 7 8 >line.csv
expect 0 train line.csv --out line --steps 2 $small --batch 4
[ ! -e line/history.png ] || fail "what is not drawn has a sheet"
exit 0
