# flowcl's words for bash: the program itself knows them (flowcl complete).

_flowcl() {
    # bash takes "--model=un" for three words; the program wants one, and gives it back whole.
    local -a words=()
    local word joined='' before='' name
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        if [[ $word == '=' && ${#words[@]} -gt 0 ]]; then
            words[-1]+='=' joined=yes
        elif [[ $joined ]]; then
            words[-1]+=$word joined=''
        else
            words+=("$word")
        fi
    done
    word=${words[-1]-}
    [[ $word == --*=* ]] && before=${word%%=*}= && word=${word#*=}
    COMPREPLY=()
    while IFS=$'\t' read -r name _; do
        case $name in
        '<file>') compopt -o filenames; mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word") ;;
        '<folder>') compopt -o filenames; mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$word") ;;
        *) COMPREPLY+=("${name#"$before"}") ;;
        esac
    done < <("${1/#\~/$HOME}" complete "${words[@]}" 2>/dev/null)
}
complete -F _flowcl flowcl
