#!/bin/sh
# A run that is resumed on another device, rusticl's, goes on there, and says that it is another.
. "$(dirname "$0")/lib.sh"

small="--width 16 --depth 2 --batch 64 --samples-every off"
expect 0 train moons --out run --steps 20 $small
first=$(sed -n 's/^device  [0-9:]* \(.*\) (Portable.*/\1/p' err)
[ -n "$first" ] || fail "train does not say on which device"
export RUSTICL_ENABLE=llvmpipe
expect 0 train --out run --resume --steps 21 --device llvmpipe
says "note    it was trained on $first: on another device" "step 21/21"
