/** The functions that each shell sources; all ask `skiff __complete`. They evaluate nothing of what was typed. */

const BASH =
  `# bash completion for skiff; source it, or put it into ~/.local/share/bash-completion/completions/skiff
_skiff() {
  local rest=\${COMP_LINE:0:COMP_POINT} words=() trimmed piece i
  # Bash breaks words at = and : as well; what no blank separates is one word.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    trimmed=\${rest#"\${rest%%[![:blank:]]*}"}
    piece=\${COMP_WORDS[i]}
    ((i < COMP_CWORD)) || piece=$trimmed
    if ((i > 0)) && [[ $trimmed == "$rest" ]]; then words[\${#words[@]} - 1]+=$piece; else words+=("$piece"); fi
    rest=\${trimmed#"$piece"}
  done
  words=("\${words[@]//[\\"\\'\\\\]/}")
  local current=\${words[\${#words[@]} - 1]} lead= breaks=\${COMP_WORDBREAKS//[!=:]/}
  # Only what stands behind the last of them is replaced.
  if [[ -n $breaks && $current == *[$breaks]* ]]; then lead=\${current%"\${current##*[$breaks]}"}; fi
  local command=\${words[0]/#\\~\\//$HOME/} line directive=:none
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
    :none* | :files* | :folders*) directive=$line ;;
    "$lead"*) line=\${line%%$'\\t'*} && COMPREPLY+=("\${line#"$lead"}") ;;
    esac
  done < <("$command" __complete "\${words[@]:1}" 2>/dev/null)
  [[ $directive != *,nospace ]] || compopt -o nospace
  local option=
  case $directive in
  :files*) option=-f ;;
  :folders*) option=-d ;;
  *) return ;;
  esac
  # it would quote the names of what is no file
  ((\${#COMPREPLY[@]} > 0)) || compopt -o filenames
  while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen $option -- "\${current#"$lead"}")
}
complete -F _skiff skiff
`;

const ZSH = `#compdef skiff
# zsh completion for skiff; put it into a folder of fpath as _skiff, or source it after compinit
_skiff() {
  local -a lines plain described options
  local line directive
  lines=("\${(@f)$("\${\${(Q)words[1]}/#\\~\\//$HOME/}" __complete "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}")
  directive=$lines[-1]
  for line in $lines[1,-2]; do
    if [[ $line == *$'\\t'* ]]; then
      described+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
    else
      described+=("\${line//:/\\\\:}")
    fi
  done
  [[ $directive != *,nospace ]] || options=(-S '')
  (( ! $#described )) || _describe -t skiff skiff described "\${(@)options}"
  case $directive in
  :files*) compset -P '*='; _files ;;
  :folders*) compset -P '*='; _files -/ ;;
  esac
}
if [[ $funcstack[1] == _skiff ]]; then _skiff "$@"; else compdef _skiff skiff; fi
`;

const FISH = `# fish completion for skiff; put it into ~/.config/fish/completions/skiff.fish, or source it
function __skiff_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l lines ($words[1] __complete $words[2..-1] "$typed" 2>/dev/null)
    set -q lines[1]; or return
    if set -q lines[2]
        printf '%s\\n' $lines[1..-2]
    end
    set -l lead (string match -r -- '^--[^=]*=' "$typed")
    # its path functions know no ~
    set -l path (string replace -- "$lead" '' "$typed" | string replace -r '^~/' "$HOME/")
    set -l paths
    switch $lines[-1]
        case ':files*'
            set paths (__fish_complete_path "$path")
        case ':folders*'
            set paths (__fish_complete_directories "$path")
    end
    if string match -q -- "$lead~/*" "$typed"
        set paths (string replace -- "$HOME/" '~/' $paths)
    end
    for path in $paths
        echo "$lead$path"
    end
end
complete -c skiff -f -a '(__skiff_complete)'
`;

export const SHELLS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
