#!/bin/sh
# The list of devices, for people and for programs.
. "$(dirname "$0")/lib.sh"

expect 0 devices
printed "P:D" "Portable Computing Language" "usable"
narrow
grep -q '^\* ' out || fail "no device is marked as the default"

expect 0 devices --json
json 'len(o["devices"]) >= 1'
json 'sum(d["default"] for d in o["devices"]) == 1'
json 'all(d["usable"] == (d["refused"] is None) for d in o["devices"])'
json 'any(d["type"] == "cpu" and d["compute_units"] > 0 and d["memory_bytes"] > 0 for d in o["devices"])'

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
