#!/bin/sh
# The main job from nothing: installs, builds, trains on the two moons, and draws samples into runs/demo, or where that
# is there already into runs/demo-2, ...
set -eu
cd "$(dirname "$0")/.."

tools/build.sh
run=runs/demo number=1
while [ -e "$run" ]; do
    number=$((number + 1))
    run=runs/demo-$number
done
build/tools/flowcl train moons --out "$run"
build/tools/flowcl sample "$run" --n 2000 --out "$run/samples.png"
echo "The samples: $run/samples.png. The checkpoint, the loss chart and the metrics stand beside them."
