#!/bin/sh
# The list of devices, for people and for programs. $2: a library that, preloaded, makes all drivers' devices one card.
. "$(dirname "$0")/lib.sh"

expect 0 devices
printed "P:D" "Portable Computing Language" "usable"
narrow
grep -q '^\* ' out || fail "no device is marked as the default"

expect 0 devices --json
json 'len(o["devices"]) >= 1'
json 'sum(d["default"] for d in o["devices"]) == 1'
json 'all(bool(d["why"]) == d["default"] for d in o["devices"])'
json 'all(d["usable"] == (d["refused"] is None) for d in o["devices"])'
json 'all(d["emulated"] == ("Oclgrind" in d["platform"] or "FPGA" in d["name"] or "llvmpipe" in d["name"]) for d in o["devices"])'
json 'any(d["type"] == "cpu" and d["compute_units"] > 0 and d["memory_bytes"] > 0 for d in o["devices"])'

# Why the default is the default.
expect 0 devices
printed "default: named by FLOWCL_DEVICE="
unset FLOWCL_DEVICE
expect 0 devices --json
json 'not any("FLOWCL_DEVICE" in (d["why"] or "") for d in o["devices"])'
json '[d["why"] for d in o["devices"] if d["default"]] in (["the only usable device"],
    ["the only CPU that is not emulated"], ["the only GPU"], ["the only discrete GPU"]) or len(o["devices"]) > 2'

# A card that ROCm and rusticl offer is one; not with a sanitizer, which wants to be the first library.
case $2 in /*) one_card=$2 ;; *) one_card=$OLDPWD/$2 ;; esac
if LD_PRELOAD=$one_card "$flowcl" --version >out 2>err && [ ! -s err ]; then
    LD_PRELOAD=$one_card RUSTICL_ENABLE=llvmpipe expect 0 devices --json
    json '{d["card"] for d in o["devices"] if d["usable"]} == {"0:83:0.0"}'
    json 'all(d["default"] == ("rusticl" not in d["platform"]) for d in o["devices"] if d["usable"])'
    json '[d["why"] for d in o["devices"] if d["default"]] == ["the better driver of the only usable card" if
        sum(d["usable"] for d in o["devices"]) > 1 else "the only usable device"]'
    json 'all("vendor\x27s own driver" in d["warning"] for d in o["devices"] if d["usable"] and not d["default"])'

    # A driver's texts reach the terminal as plain ones.
    CARD=$(printf '  a\033[31mb ') LD_PRELOAD=$one_card expect 0 devices
    printed 'a\x1b[31mb, '
    if grep -q "$(printf '\033')" out; then fail "a control character reached the terminal"; fi
fi

FLOWCL_DEVICE='no such thing'
export FLOWCL_DEVICE
expect 0 devices
narrow
printed "No device is taken without being named"
expect 0 devices --json
json 'not any(d["default"] for d in o["devices"])'

# Without any driver there is a sentence that helps, and it is no failure.
OCL_ICD_VENDORS="$folder"
export OCL_ICD_VENDORS
expect 0 devices
printed "pocl-opencl-icd"
expect 0 devices --json
json 'o["devices"] == []'
