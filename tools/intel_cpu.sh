#!/bin/sh
# Fetches Intel's OpenCL driver for CPUs, which runs on those of AMD, too, from the Python package index into a folder (about
# 0.8 GB), under Intel's licence (DIR/licensing), and writes an ICD file that names it: the one in its package
# has a path of its builder's. Needs Python 3 with pip; $PYTHON names another Python.
#     tools/intel_cpu.sh DIR
#     OCL_ICD_VENDORS=DIR/vendors flowcl devices              # that driver alone
#     python3 tools/drivers.py --vendors DIR/vendors          # beside those that are installed
set -eu
[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
python=${PYTHON:-python3}
mkdir -p "$1/vendors"
folder=$(cd "$1" && pwd)

driver() { find "$folder" -name libintelocl.so -print | head -n 1; }
[ -n "$(driver)" ] ||
    "$python" -m pip install --quiet --ignore-installed --no-compile --prefix "$folder" intel-opencl-rt intel-cmplr-lib-rt
[ -n "$(driver)" ] || { echo "$0: the packages in $folder have no libintelocl.so" >&2; exit 1; }
driver >"$folder/vendors/intel-cpu.icd"
echo "OCL_ICD_VENDORS=$folder/vendors"
