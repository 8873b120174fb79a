# flowcl's words for fish: the program itself knows them (flowcl complete).

function __flowcl_candidates
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    # The path of "--config=a" is what is behind the "=".
    set -l head (string match -r -- '^--[^=]*=' "$word")
    set -l path (string replace -r -- '^--[^=]*=' '' "$word")
    $words[1] complete $words[2..-1] "$word" 2>/dev/null | while read -l line
        switch $line
            case '<file>'
                __fish_complete_path "$path" | string replace -r '^' -- "$head"
            case '<folder>'
                __fish_complete_directories "$path" | string replace -r '^' -- "$head"
            case '*'
                echo $line
        end
    end
end
complete -c flowcl -f -a '(__flowcl_candidates)'
