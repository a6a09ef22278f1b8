# bash completion for dlc and dlrun. The words come from the programs' own --help, so they are never out of date.

_dlc_files() { # one pattern a suffix
  local pattern
  for pattern in "$@"; do COMPREPLY+=($(compgen -f -X "!*.$pattern" -- "$cur")); done
  COMPREPLY+=($(compgen -d -- "$cur"))
  compopt -o filenames 2>/dev/null
}

_dlc_options() { "$@" --help 2>/dev/null | grep -oE '^  -[^[:space:]=]+=?' | sort -u; }

_dlc_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }

_dlc() {
  local cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  # --emit=so is three words: readline breaks at the equals sign
  if [ "$cur" = = ]; then cur=; elif [ "$option" = = ]; then option=${COMP_WORDS[COMP_CWORD - 2]}; fi
  case $option in
    --emit) _dlc_words "so obj lib asm llvm bc ir ast dot math plan summary header" ;;
    --precision) _dlc_words "f32 f64" ;;
    --program) _dlc_words "infer evaluate train grad grad_eval apply" ;;
    -mcpu) _dlc_words "native x86-64 x86-64-v2 x86-64-v3 x86-64-v4 haswell" ;;
    -o | -I) _dlc_files so o a s ll bc ;;
    *)
      if [[ $cur == -* ]]; then
        _dlc_words "$(_dlc_options dlc) -S -O0 -O1 -O2 -O3 --version"
        [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null
      else
        _dlc_files net ir
      fi
      ;;
  esac
  return 0
}

_dlrun() {
  local cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    _dlc_words "$(dlrun --help 2>/dev/null | sed -n 's/^  \([a-z]*\) .*/\1/p') --help --version"
    return 0
  fi
  case $option in
    --weights | --save | --resume) _dlc_files safetensors ;;
    --classes) _dlc_files txt ;;
    --data | --valid | --inputs) _dlc_files csv gz bin png npy npz safetensors ;;
    -o) _dlc_files safetensors csv png ;;
    --log) _dlc_files ;;
    *) if [[ $cur == -* ]]; then _dlc_words "$(_dlc_options dlrun "${COMP_WORDS[1]}")"; else _dlc_files so; fi ;;
  esac
  return 0
}

complete -F _dlc dlc
complete -F _dlrun dlrun
