#!/bin/sh
# Parts of a device: what is trained on one half goes on on the other, which is the same device, bit for bit.
. "$(dirname "$0")/lib.sh"

small="--width 16 --depth 2 --batch 64 --samples-every off --metrics-every 5"
expect 0 devices --json
parts=$(python3 -c 'import json
print(max([d["most_parts"] for d in json.load(open("out"))["devices"] if "Portable" in d["platform"]]))')
expect 0 devices
if [ "$parts" -lt 2 ]; then # a processor of one unit
    refused 1 "has no parts: its driver divides it in no way" verify --only path --device "Portable Computing Language/2"
    exit 0
fi
printed "divides into up to $parts equal parts: "

# Named outside of config.yaml, which the checkpoint holds.
FLOWCL_DEVICE="Portable Computing Language/2.0"
expect 0 train moons --out first --steps 20 $small
says "/2.0 " " units (Portable Computing Language)"
cp -r first second
expect 0 train --out first --resume --steps 30
FLOWCL_DEVICE="Portable Computing Language/2.1"
expect 0 train --out second --resume --steps 30
says "/2.1 "
if grep -q "on another device" err; then fail "the halves are not one kind of device"; fi
cmp first/checkpoint-0000000030.safetensors second/checkpoint-0000000030.safetensors || fail "the halves train differently"
expect 0 train --out second --resume --steps 31 --device "Portable Computing Language"
says "units: on another device"

# What names no part, or more than one device, opens none.
refused 1 '/0" names no part' verify --only path --device "Portable Computing Language/0"
refused 1 'the last is ' verify --only path --device "Portable Computing Language/2.2"
refused 1 'no device matches "0:0/x"' verify --only path --device 0:0/x
refused 1 "has no $((parts + 1)) parts: it has" verify --only path --device "Portable Computing Language/$((parts + 1))"
refused 1 'the list of devices "," has an empty entry' bench --quick --device ,
refused 1 '2 devices are named, 0:0 to 0:0' verify --only path --device 0:0,0:0
