#!/bin/sh
# Man pages: one for each subcommand and each header, with every option that the help has, and nothing that groff minds.
#     man.sh FLOWCL SOURCES BUILD
. "$(dirname "$0")/lib.sh"
sources=$2 build=$3

# Pages that groff cannot set without a warning are wrong; without groff they are looked at alone.
set_well() {
    [ -s "$1" ] || fail "there is no page $1"
    ! command -v groff >groff || groff -man -Tutf8 -ww -rLL=100n "$1" >set 2>said || fail "groff fails over $1"
    [ ! -s groff ] || [ ! -s said ] || fail "groff warns of $1: $(cat said)"
}

commands=$("$flowcl" help | sed -n 's/^  \([a-z]*\) .*/\1/p' | grep -v -e help -e version)
[ "$(echo "$commands" | wc -l)" -ge 11 ] || fail "the program has lost its subcommands"
for command in $commands; do
    page=$build/tools/flowcl-$command.1
    set_well "$page"
    "$flowcl" man "$command" | cmp - "$page" || fail "$page is not of this program"
    "$flowcl" "$command" --help | sed -n 's/^  --\([a-z0-9-]*\).*/\1/p' >keys
    [ -s keys ] || fail "flowcl $command has no options"
    while read -r key; do
        grep -qF "\\fB\\-\\-$(echo "$key" | sed 's/-/\\-/g')\\fR" "$page" || fail "$page lacks --$key"
    done <keys
    grep -q "^.BR flowcl\\\\-$command (1)" "$build/tools/flowcl.1" || fail "flowcl.1 lacks $command"
done
set_well "$build/tools/flowcl.1"
for header in "$sources"/include/flowcl/*.h; do
    page=$build/tools/flowcl_$(basename "$header").3
    set_well "$page"
    for name in $(grep -o '^FCL_API[^(]*(' "$header" | grep -o 'fcl_[a-z_0-9]*(' | tr -d '('); do
        grep -qF "$name(" "$page" || fail "$page lacks $name"
    done
done
for word in help version; do
    grep -q "^\\\\fBflowcl $word\\\\fR" "$build/tools/flowcl.1" || fail "flowcl.1 lacks $word"
    refused 2 "$word has no page of its own" man $word
done
refused 2 "unknown subcommand \"trian\"; did you mean train?" man trian
refused 2 "is an argument too many" man train sample
