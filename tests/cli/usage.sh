#!/bin/sh
# Help, versions, and what wrong usage is answered with.
. "$(dirname "$0")/lib.sh"

expect 2
says "usage: flowcl SUBCOMMAND"
narrow_errors() { cp err out && narrow; }
narrow_errors
expect 0 help
narrow
printed "devices" "flowcl SUBCOMMAND --help"
expect 0 --help
expect 0 --version
printed "flowcl "
expect 0 version

for word in help version; do
    expect 0 help $word
    printed "usage: flowcl $word"
done
for command in devices train sample likelihood eval classify info explain bench verify tune; do
    expect 0 $command --help
    narrow
    printed "usage: flowcl $command"
    cp out first
    expect 0 help $command
    cmp -s out first || fail "flowcl help $command differs from flowcl $command --help"
    expect 0 $command -h
    refused 2 "unknown option --hlep; did you mean --help?" $command --hlep
    refused 2 "flowcl $command --help" $command --hlep
    COLUMNS=80 "$flowcl" $command --help | awk 'length > 80 { exit 1 }' || fail "help of $command is too wide"
done

# A model's own options are in the help that names it, whatever else stands in the line; without a name those of all are.
unbroken() {
    tr -s ' \n' ' ' <out | grep -qF -e "$1" || fail "the help lacks \"$1\""
}
for command in train explain tune; do
    expect 0 $command --help
    printed "--model NAME" "--width N" "--patch N" "--channels N"
    unbroken "without it unet for pictures of 1 or 3 channels whose sides are multiples of 4, from 8 on, mlp for all else"
    for choice in "--model mlp" "--model=mlp" "--hlep --model mlp"; do
        # shellcheck disable=SC2086 # a list of words
        expect 0 $command $choice --help
        unbroken "(default 128; 1 to 65536)"
        grep -q -e "--patch" out && fail "flowcl $command $choice --help has an option of another model"
    done
    expect 0 $command --help --model dit
    printed "--patch N"
    unbroken "(default 192; 1 to 65536)"
    for choice in "--help --model mpl" "-h --model=mpl"; do
        # shellcheck disable=SC2086 # a list of words
        refused 2 '"mpl" is not usable: expected one of mlp, dit' $command $choice
        says 'did you mean "mlp"?'
    done
done

# Whatever a subcommand takes is listed: data sets, grids, and what may stand in formulas.
for command in train sample likelihood explain; do
    expect 0 help $command
    printed " asinh sigmoid probit "
done
expect 0 help likelihood
printed "moons " "fashion-mnist-test " "edm " "dopri8: " "hutchinson"
grep -q "stochastic-heun" out && fail "likelihood lists a solver that it refuses"

refused 2 "unknown option --jsom; did you mean --json?" devices --jsom
refused 2 "did you mean devices?" devcies
refused 2 "unknown subcommand \"qqqqqqqq\"" qqqqqqqq
refused 2 "did you mean devices?" help devcies
refused 2 "argument too many" devices surplus
refused 2 "\"moons\" is an argument too many: flowcl help [SUBCOMMAND]" help train moons
refused 2 "\"all\" is an argument too many: flowcl version" version all
refused 2 "unknown option -j" devices -j

if [ -w /dev/full ]; then
    "$flowcl" help >/dev/full 2>err && fail "a full disk went unnoticed"
    says "cannot write to standard output"
fi
