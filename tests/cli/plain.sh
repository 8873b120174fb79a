#!/bin/sh
# What comes from files, names and variables reaches the terminal as plain text only; variables that hold nonsense
# are refused; data that no arithmetic bears are blamed.
. "$(dirname "$0")/lib.sh"

# No control character but the newline, none of C1, nothing that is no UTF-8.
plain() {
    python3 - <<'END' || fail "a control character reached the terminal"
for name in ("out", "err"):
    text = open(name, "rb").read().decode()
    assert not [c for c in text if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160 or 0x202a <= ord(c) <= 0x202e)], text
END
}
odd=$(printf 'a\033[31m\302\233b\342\200\256c\nd')
python3 - "$odd" <<'END'
import random, sys
open(sys.argv[1] + ".csv", "w").write("".join(f"{random.gauss(0, 1)},{random.gauss(0, 1)}\n" for _ in range(200)))
open("text.csv", "wb").write(b"1,2\n3,\x1b[2Jx\n")
open("bytes.csv", "wb").write(b"1,2\n3,\xff\xfe\n")
END
expect 0 train "$odd.csv" --out "$odd" --steps 3 --width 8 --depth 1 --batch 16 --samples-every off
plain
says 'a\x1b[31m\u009bb\u202ec\nd.csv: 200 samples'
expect 0 info "$odd"
plain
expect 0 info "$odd" --json
plain
python3 - "$odd" <<'END' || fail "the JSON has another name"
import json, sys
o = json.load(open("out"))
assert o["config"]["data"] == sys.argv[1] + ".csv" and o["checkpoint"].startswith(sys.argv[1] + "/")
END
expect 0 sample "$odd" --n 10 --steps 2 --out "$odd.npy"
plain
expect 0 eval "$odd.npy" "$odd.csv" --metrics sliced
plain
expect 0 eval "$odd.npy" "$odd.csv" --metrics sliced --json
plain
json 'o["subjects"][0]["name"].endswith("\nd.npy")'
expect 0 likelihood "$odd" "$odd.csv" --n 10
plain
expect 0 explain "$odd"
plain
refused 1 '\x1b[2Jx' eval text.csv moons
plain
refused 1 '\xff\xfe' eval bytes.csv moons
plain
refused 1 'cannot read missing\x1b' info "$(printf 'missing\033')"
refused 2 'unknown subcommand "inf\x07o"' "$(printf 'inf\007o')"
refused 2 '\x1b[1m' train moons --out run --steps "$(printf '\033[1m')"

# Variables.
for pair in FLOWCL_GEMM=abc FLOWCL_TUNE=on FLOWCL_ROW_GROUP=abc FLOWCL_ROW_GROUP=16x FLOWCL_ROW_GROUP=3 \
    FLOWCL_ROW_GROUP=512 FLOWCL_ROW_GROUP=-1 FLOWCL_VECTOR=2 FLOWCL_VECTOR=4x FLOWCL_DUMP=/proc/none FLOWCL_MEMORY=0; do
    export "${pair?}"
    refused 1 "$pair " sample "$odd" --n 10 --out b.npy
    unset "${pair%%=*}"
done
FLOWCL_ROW_GROUP=16 FLOWCL_TUNE=off FLOWCL_GEMM=tile expect 0 sample "$odd" --n 10 --steps 2 --out b.npy

# Data.
python3 - <<'END'
rows = [[i % 7 / 7, i % 5 / 5, i % 3 / 3] for i in range(100)]
rows[11][1] = rows[60][1] = -1e30
open("huge.csv", "w").write("".join(",".join(map(str, row)) + "\n" for row in rows))
rows[60][1] = 0
open("one.csv", "w").write("".join(",".join(map(str, row)) + "\n" for row in rows))
END
for file in huge one; do
    expect 1 train $file.csv --out $file --steps 50 --width 8 --depth 1 --batch 64 --samples-every off \
        --normalise off
    says "because of the data: $file.csv has numbers up to -1e+30 (column 2)"
done
says "in sample 12;"
exit 0
