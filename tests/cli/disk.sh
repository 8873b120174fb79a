#!/bin/sh
# Data that stay on the disk: .npy files and folders of them, larger than memory, on a slow disk, and damaged.
# $2: a module that makes reading slow; $3: "no" where what the program takes of memory is not its own.
. "$(dirname "$0")/lib.sh"
case $2 in /*) slow=$2 ;; *) slow=$OLDPWD/$2 ;; esac
own_memory=$3
[ "$own_memory" = yes ] || slow= # a sanitizer wants to be preloaded first

short="--width 8 --depth 1 --batch 16 --samples-every off --checkpoint-every off --seed 3 --schedule constant"

cat >write.py <<'END'
import os, random, struct
random.seed()

def npy(name, rows, shape, descr="<f4", fortran=False, last=None):
    """Zeros, of which most are not on the disk, but for four numbers of each row where it has that many."""
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    numbers = 1
    for size in shape: numbers *= size
    header = ("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, fortran, (rows,) + shape)).ljust(117) + "\n"
    with open(name, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        start, item = file.tell(), int(descr[2:])
        file.truncate(start + rows * numbers * item)
        for row in range(rows if descr == "<f4" else 0):
            file.seek(start + row * numbers * item)
            file.write(struct.pack("<4f", *[random.gauss(0, 1) for _ in range(4)]))
    return start

# rows of 256 KiB: 4 to a block; 300 of them are more than two windows of 32 blocks
start = npy("wide.npy", 300, (65536,))
content = open("wide.npy", "rb").read()
def part(name, first, rows):
    npy(name, rows, (65536,))
    with open(name, "r+b") as file:
        file.seek(start)
        file.write(content[start + first * 262144:start + (first + rows) * 262144])
part("parts/a/0.npy", 0, 101); part("parts/a/1.npy", 101, 2); part("parts/b/0.npy", 103, 197)
open("parts/notes.txt", "w").write("no samples")
npy("label.npy", 300, (), "<i4")
npy("fewer.npy", 299, (), "<i4")
npy("fortran.npy", 40, (1024,), "<f8", True)
npy("mixed/0.npy", 4, (6,)); npy("mixed/1.npy", 4, (7,))
npy("both/0.npy", 4, (6,)); npy("both/1.npy", 4, (6,)); open("both/cover.PNG", "w").close()
npy("types/0.npy", 4, (6,)); npy("types/1.npy", 4, (6,), "<f8")
npy("cut.npy", 4, (6,))
os.truncate("cut.npy", os.path.getsize("cut.npy") - 1)
npy("nan.npy", 300, (1024,))
with open("nan.npy", "r+b") as file:
    file.seek(start + (299 * 1024 + 5) * 4)
    file.write(struct.pack("<f", float("nan")))
END
python3 write.py || fail "the files cannot be written"

# losses A B: the same, to the last digit.
losses() {
    python3 - "$1" "$2" <<'END' || fail "$1 and $2 have other losses"
import json, sys
a, b = ([json.loads(line) for line in open(name + "/metrics.jsonl")] for name in sys.argv[1:])
assert len(a) == len(b) > 3 and all(x[key] == y[key] for x, y in zip(a, b) for key in ("step", "loss", "gradient_norm"))
END
}

# weights A B: the same tensors, whatever else the checkpoints say.
weights() {
    python3 - "$1" "$2" <<'END' || fail "$1 and $2 have other weights"
import struct, sys
def tensors(name):
    content = open(name, "rb").read()
    return content[8 + struct.unpack("<Q", content[:8])[0]:]
assert tensors(sys.argv[1]) == tensors(sys.argv[2])
END
}

# On the disk, in memory, in several files, on a slow disk: the same, two epochs long.
long="$short --steps 24 --metrics-every 4"
SLOW=wide.npy LD_PRELOAD=${LD_PRELOAD:+$LD_PRELOAD:}$slow
export SLOW LD_PRELOAD
expect 0 train wide.npy --from-disk --profile $long --out disk
unset SLOW LD_PRELOAD
says "wide.npy: 300 samples of (65536), on the disk" "of the host's for what is read ahead"
grep -Eq '^waiting for data +24 +[0-9.]+ +host$' err || fail "the profile does not tell who waits"
grep -Eq '^reading data +[0-9]+ +[0-9.]+ +host$' err || fail "the profile does not tell who reads"
# 68 blocks or more, each with a pause of 20 ms; four are read at once, beside the steps
[ -z "$slow" ] || awk '/^reading data/ { exit !($3 >= 68 && $4 > 0.02 * 68) }' err ||
    fail "the profile tells less reading than there was"
[ -z "$slow" ] || awk '/^waiting/ { waited = $5 } /^reading/ { read = $4 } END { exit !(waited < read) }' err ||
    fail "the steps wait for all that is read"
expect 0 train wide.npy --shuffle blocks $long --out memory
says "on the host"
losses disk memory
expect 0 train parts --from-disk $long --out parts-run
says "parts: 300 samples of (65536), on the disk" "3 .npy files; skipped: 1 other files"
losses disk parts-run
# The whole order, row by row, is the one of memory, too; and another.
expect 0 train wide.npy --from-disk --shuffle whole $long --out whole-disk
expect 0 train wide.npy $long --out whole-memory
losses whole-disk whole-memory
python3 -c 'a, b = (open(name + "/metrics.jsonl").readlines()[-1].split("\"loss\"")[1][:12] for name in ("disk", "whole-disk")); assert a != b' ||
    fail "both orders are one"

# A run that is resumed goes on as it would have, also where the data are in memory then.
expect 0 train wide.npy --from-disk $long --steps 11 --out resumed
expect 0 train --resume --steps 20 --out resumed
says "on the disk"
expect 0 train --resume --steps 24 --from-disk no --out resumed
says "on the host"
python3 - <<'END' || fail "a resumed training has other losses"
import json
a, b = ({r["step"]: r["loss"] for r in map(json.loads, open(name + "/metrics.jsonl"))} for name in ("disk", "resumed"))
assert all(a[step] == b[step] for step in (4, 8, 16, 20, 24)), (a, b)
END
weights disk/checkpoint-0000000024.safetensors resumed/checkpoint-0000000024.safetensors
refused 1 "its samples came in the order blocks, not whole (the option shuffle)" train --resume --shuffle whole --steps 25 --out disk

# With the rest: a held-out part, labels, couplings, statistics.
all="$short --steps 8 --metrics-every 2 --labels --held-out 40 --held-out-every 8 --coupling ot --coupling-batch 32 --accumulate 2 --normalise all"
expect 0 train wide.npy --from-disk --label-file label.npy $all --out all-disk
expect 0 train wide.npy --shuffle blocks --label-file label.npy $all --out all-memory
losses all-disk all-memory
weights all-disk/checkpoint-0000000008.safetensors all-memory/checkpoint-0000000008.safetensors
expect 0 train parts --from-disk --labels $short --steps 1 --out classes
says "2 classes, a, b"

# What is wrong is one sentence.
refused 1 "fewer.npy holds 299 labels for 300 samples" train wide.npy --from-disk --labels --label-file fewer.npy $short --out run
refused 1 "fortran.npy is in Fortran order, so that no sample lies in one piece" train fortran.npy --from-disk $short --out run
refused 1 "mixed/1.npy has the shape (4, 7), and mixed/0.npy (4, 6): all but the first number have to be the same" \
    train mixed $short --out run
refused 1 "types/1.npy has elements of type f8, and types/0.npy of f4: all have to be of one type" train types $short --out run
refused 1 "the folder both holds both pictures (1) and .npy files (2)" train both $short --out run
refused 1 "cut.npy is cut off: its shape (4, 6) needs 96 bytes of data, 95 are there" train cut.npy --from-disk $short --out run
refused 1 "nan.npy: sample 299 holds NaN (its number 5, both from 0)" train nan.npy --from-disk $short --out run
refused 1 "from-disk has no use with moons" train moons --from-disk $short --out run
refused 1 "image-size has no use with mixed, a folder of .npy files" train mixed --image-size 4 $short --out run
expect 0 train fortran.npy $short --steps 1 --out fortran-run # in memory it can be

# A file that shrinks while it is trained on.
cp wide.npy shrinks.npy
SLOW=shrinks.npy LD_PRELOAD=${LD_PRELOAD:+$LD_PRELOAD:}$slow
export SLOW LD_PRELOAD
"$flowcl" train shrinks.npy --from-disk --normalise off $short --steps 1000 --out shrinks >out 2>err </dev/null &
process=$!
unset SLOW LD_PRELOAD
until grep -q "^step" err; do kill -0 $process 2>/dev/null || fail "it ended too early"; sleep 0.1; done
truncate -s 1M shrinks.npy
wait $process && fail "a file that shrank was no failure"
process=
says "shrinks.npy has become shorter since it was opened" "; no checkpoint was saved so far"

# 4 GiB take at most 150 MiB more at their peak than 40 MiB, what is mapped included.
[ "$own_memory" = yes ] || exit 0
cat >peak.py <<'END'
import os, struct, sys

def npy(name, rows):
    header = ("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 16384), }" % rows).ljust(117) + "\n"
    with open(name, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        start = file.tell()
        file.truncate(start + rows * 65536)
        for row in range(0, rows, 7):
            file.seek(start + row * 65536)
            file.write(struct.pack("<f", row % 64 - 32))

def peak(name, *more):
    arguments = [sys.argv[1], "train", name, "--from-disk"] + sys.argv[2:] + ["--out", name + "-run"] + list(more)
    process = os.posix_spawn(arguments[0], arguments, os.environ)
    _, status, used = os.wait4(process, 0)
    assert status == 0
    return used.ru_maxrss / 1024 # VmHWM, in MiB

npy("small.npy", 640)
npy("large.npy", 65536)
peak("small.npy", "--steps", "1") # compiles what the next find compiled
os.system("rm -rf small.npy-run")
small, large = peak("small.npy"), peak("large.npy")
print("peaks: %.0f MiB with 40 MiB of data, %.0f MiB with 4 GiB" % (small, large))
assert large <= small + 150
END
python3 peak.py "$flowcl" $short --steps 60 >out 2>err || fail "more than 150 MiB more"
cat out
