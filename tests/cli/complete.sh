#!/bin/bash
# Words that shells complete, as their users type them.
#     complete.sh FLOWCL SOURCES
. "$(dirname "$0")/lib.sh"
sources=$2
PATH=$(dirname "$flowcl"):$PATH
mkdir -p here/folder
: >here/data.npy
cd here || exit

# by_bash WORD...: the last one typed in part, as readline splits them; what stands there afterwards is in `found`.
. "$sources/tools/completion/flowcl.bash"
by_bash() {
    COMP_WORDS=(flowcl "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _flowcl flowcl "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}" 2>bash.err
    grep -v compopt bash.err && fail "bash complains" # outside of a completion there is none
    found=" ${COMPREPLY[*]} "
}
has() {
    for word in "$@"; do
        [[ $found == *" $word "* ]] || fail "$word is not among:$found"
    done
}
lacks() {
    for word in "$@"; do
        [[ $found != *" $word "* ]] || fail "$word is among:$found"
    done
}

by_bash ''
has train sample eval
lacks bench-device man complete
by_bash h
[ "$found" = " help " ] || fail "h becomes$found"
by_bash v
has verify version
by_bash sam
[ "$found" = " sample " ] || fail "sam becomes$found"
by_bash help e
has eval explain
by_bash train m
has moons
lacks rings
by_bash train ''
has moons data.npy folder
by_bash train moons --out ''
has folder
lacks data.npy
by_bash train moons --sol
[ "$found" = "  " ] || fail "train has no solver, and completes to$found"
by_bash train moons --model ''
has mlp dit unet
by_bash train moons --model = u
[ "$found" = " unet " ] || fail "--model=u becomes$found"
by_bash train moons --pa
has --path --patch
by_bash train moons --model mlp --pa
[ "$found" = " --path " ] || fail "--pa of an mlp becomes$found"
by_bash train --preset fashion-mnist-u
[ "$found" = " fashion-mnist-unet " ] || fail "a preset becomes$found"
by_bash train --preset = fashion-mnist-u
[ "$found" = " fashion-mnist-unet " ] || fail "--preset= becomes$found"
by_bash train --preset --ste
[ "$found" = " --steps " ] || fail "behind a preset without a name --ste becomes$found"
for option in "" =; do
    # shellcheck disable=SC2086 # none, or a word
    by_bash sample --preset $option ''
    lacks fashion-mnist-unet emoji-unet
done
by_bash train --config = d
[ "$found" = " data.npy " ] || fail "--config=d becomes$found"
by_bash bench --chart d
[ "$found" = " data.npy " ] || fail "a chart becomes$found"
by_bash train moons --no-la
has --no-labels
"$flowcl" complete train moons --no-resu | grep -q '^--no-resume	do not: ' || fail "--no-resume is told as what --resume does"
by_bash train moons --ema ''
lacks moons data.npy
by_bash nothing ''
[ "$found" = "  " ] || fail "nothing becomes$found"

# The others, where they are.
if command -v fish >fish.path; then
    fish --no-config -c "source '$sources/tools/completion/flowcl.fish'; complete -C 'flowcl train moons --model '" >fish.out ||
        fail "fish fails"
    grep -q "^unet	ADM's U-Net" fish.out || fail "fish does not know unet: $(cat fish.out)"
    fish --no-config -c "source '$sources/tools/completion/flowcl.fish'; complete -C 'flowcl sample '" | grep -q '^data.npy' ||
        fail "fish knows no file"
    for word in --config=d:--config=data.npy --out=f:--out=folder/; do
        fish --no-config -c "source '$sources/tools/completion/flowcl.fish'; complete -C 'flowcl train moons ${word%:*}'" >fish.out
        cut -f 1 fish.out | grep -qxF -e "${word#*:}" || fail "fish makes of ${word%:*}: $(cat fish.out)"
    done
fi
if command -v zsh >zsh.path; then
    cat >zsh.script <<'END'
zmodload zsh/zpty
zpty z zsh -f -i
line() { zpty -w z "$1"; }
line "PROMPT=; fpath=($SOURCES/tools/completion \$fpath); autoload -Uz compinit; compinit -u -D; cd '$PWD'"
line "zstyle ':completion:*' list-prompt ''; bindkey '^I' complete-word; LISTMAX=0"
zpty -n -w z $'flowcl tra\t moons --model un\t --chan\t\n'
line "exit"
while zpty -r z answer; do print -r -- "$answer"; done
END
    SOURCES=$sources zsh -f zsh.script >zsh.out 2>&1 || :
    # Whole words, or the program would not say this.
    grep -q "flowcl: --channels needs a value" zsh.out || fail "zsh does not complete: $(cat -v zsh.out)"
fi
