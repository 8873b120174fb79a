#!/bin/sh
# The main job from nothing: installs, builds, trains on the two moons, and draws samples into runs/moons.
set -eu
cd "$(dirname "$0")/.."

tools/build.sh
rm -rf runs/moons
build/tools/flowcl train moons --out runs/moons
build/tools/flowcl sample runs/moons --n 2000 --out runs/moons/samples.png
echo "The samples: runs/moons/samples.png. The checkpoint, the loss chart and the metrics stand beside them."
