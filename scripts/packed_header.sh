#!/bin/sh
# skiff @VERSION@: a shell header and, after it, a compressed Deno runtime with the program. The first
# start unpacks both into a private folder named after their content; every start runs them from there.
{ # read as a whole, so that a file cut off in here does nothing
caller_path=$PATH
PATH=/usr/bin:/bin:/usr/sbin:/sbin
export PATH
id=@ID@

fail() {
  printf 'Error: %s\n' "$1" >&2
  [ -z "${2-}" ] || printf 'hint: %s\n' "$2" >&2
  exit 125
}

# The runtime would say it in its own words.
{ [ -n "$PWD" ] && pwd -P >/dev/null 2>&1; } || fail 'find the current folder: it has been removed' 'cd to another'

case $0 in
/*) self=$0 ;;
./*) self=$PWD/${0#./} ;;
*) self=$PWD/$0 ;;
esac
while read -r key _ uid _; do
  [ "$key" != Uid: ] || break
done 2>/dev/null </proc/self/status || fail "read /proc/self/status: skiff needs /proc"

# Collects the facts of every folder from / down to $1 and of the files below it that follow, with one
# stat(1); true if each folder belongs to root or the user and nobody else may write to it.
are_mine() {
  where=$1/
  shift
  number=$#
  parent=$where
  while [ -n "$parent" ]; do
    parent=${parent%/*}
    [ -n "$parent" ] || break
    [ ! -h "$parent" ] || return 1
    set -- "$parent" "$@"
  done
  # in the C locale, for which nothing is loaded
  facts=$({ ulimit -Sn && ulimit -Sv && cd "$where" && export LC_ALL=C && exec stat -c %u:%f:%s / "$@"; } 2>/dev/null) ||
    return 1
  set -- $facts
  nofile=$1 memory=$2 owner=${3%%:*}
  shift 2
  # V8 sets aside more than 32 GB of addresses
  [ "$memory" = unlimited ] || [ "$memory" -ge 60000000 ] ||
    fail "start with $memory kB of addresses: the runtime needs 60000000" 'ulimit -v unlimited'
  while [ $# -gt "$number" ]; do
    mode=${1#*:} mode=0x${mode%%:*}
    case ${1%%:*} in
    0 | "$uid" | "$owner") ;; # who owns / decides anyway (65534 in a user namespace)
    *) return 1 ;;
    esac
    # a folder that others may write to is good only with the sticky bit, as /tmp has it
    [ $((mode & 0xf012)) = 16384 ] || [ $((mode & 0xf200)) = 16896 ] || return 1
    last=$1
    shift
  done
  facts=$*
  case $last in
  "$uid":41c0:* | "$uid":45c0:*) ;; # the last folder is the user's own, 0700
  *) return 1 ;;
  esac
}

is_whole() {
  [ -x "$1/skiff" ] && are_mine "$1" @FILES@ && [ "$facts" = "@FACTS@" ]
}

# Makes $dir, or says in $why what stands against it.
unpack() {
  why='cannot be made'
  (umask 077 && mkdir -p "$top") 2>/dev/null || return 1
  why='not a folder that only this user can change'
  are_mine "$top" || return 1
  # a redirection of its own, not exec: --preserve-fds passes on what the caller has open as 9
  unpack_locked 9<"$top"
}

unpack_locked() {
  # One start unpacks and the others wait; where flock(1) is not there, or the one hangs, each unpacks for itself.
  ! flock -w 60 9 2>/dev/null || ! is_whole "$dir" || return 0
  # what a killed start left, and versions unpacked a month ago (who still has one unpacks it again)
  find "$top" -maxdepth 1 -name '.new-*' -mmin +60 -exec rm -rf {} + 2>/dev/null
  find "$top" -maxdepth 1 -name '????????????????' -mtime +30 -exec rm -rf {} + 2>/dev/null
  why='cannot be written'
  new=
  trap '[ -z "$new" ] || rm -rf "$new"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  new=$(mktemp -d "$top/.new-XXXXXX" 2>/dev/null) || return 1
  errors=$({ tail -c +@OFFSET@ "$self" | gzip -dc | tar -xf - -C "$new"; } 2>&1)
  # What is written in small pieces stays in small pieces in memory, and each start finds them one by one: 2 ms.
  cp -p "$new/skiff" "$new/.skiff" 2>/dev/null && mv -f "$new/.skiff" "$new/skiff" || rm -f "$new/.skiff"
  if [ "$(cd "$new" && sha256sum 2>&1 <SHA256SUMS)" != "@SUMS@  -" ] ||
    ! (cd "$new" && sha256sum -c SHA256SUMS) >/dev/null 2>&1; then
    case $errors in
    *'o space left'* | *'uota exceeded'*)
      rm -rf "$new"
      fail "unpack skiff into $top: no space left (@NEED@ MB are needed)" 'XDG_CACHE_HOME names another folder'
      ;;
    esac
    [ "$(tail -c +@OFFSET@ "$self" | sha256sum)" = "@PAYLOAD@  -" ] ||
      fail "unpack skiff: $self is damaged" 'download it again'
    why="cannot be written: $errors"
    rm -rf "$new"
    return 1
  fi
  chmod 700 "$new"
  errors=$("$new/skiff" --version 2>&1)
  case $? in
  0) ;;
  126)
    why='on a file system mounted noexec'
    rm -rf "$new"
    return 1
    ;;
  *) fail "run the unpacked runtime: $errors" 'it needs glibc 2.31 or newer' ;;
  esac
  # Another start may have been faster (then it is whole), or what is there is damaged and has to go.
  if ! mv -fT "$new" "$dir" 2>/dev/null; then
    if ! is_whole "$dir"; then
      old=$(mktemp -d "$top/.new-XXXXXX") && mv -fT "$dir" "$old" 2>/dev/null
      mv -fT "$new" "$dir" 2>/dev/null
      chmod -R u+rwX "$old" 2>/dev/null
      rm -rf "$old" 2>/dev/null # what another user owns in it stays for him to remove
    fi
    rm -rf "$new"
  fi
  trap - EXIT HUP INT TERM
  why='changes while skiff starts'
  is_whole "$dir"
}

# What the runtime would obey is put aside, for it belongs to the caller's containers.
for name in DENO_DIR DENO_NO_UPDATE_CHECK DENO_TLS_CA_STORE DENO_V8_FLAGS DENO_CERT DENO_COVERAGE_DIR \
  DENO_AUDIT_PERMISSIONS DENO_TRACE_PERMISSIONS DENO_INTERNAL_CHILD_ENTRYPOINT DENO_NO_PROMPT DENO_CONDITIONS \
  NODE_OPTIONS NODE_CHANNEL_FD NODE_V8_COVERAGE NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED OTEL_DENO \
  MALLOC_ARENA_MAX MALLOC_TOP_PAD_; do
  eval "value=\${$name-} known=\${$name+set}"
  if [ -n "$known" ]; then
    export "SKIFF_CALLER_$name=$value"
    unset "$name"
  fi
done

# The code cache lies beside the program: Deno keeps there what it has compiled.
start() {
  SKIFF_FORM=packed SKIFF_FILE=$self SKIFF_NOFILE=$nofile
  DENO_DIR=$dir/cache DENO_NO_UPDATE_CHECK=1 DENO_NO_PROMPT=1 DENO_TLS_CA_STORE=system,mozilla
  MALLOC_ARENA_MAX=1 MALLOC_TOP_PAD_=0 # a monitor, which inherits the heap, is 0.3 MB smaller
  export MALLOC_ARENA_MAX MALLOC_TOP_PAD_
  export SKIFF_FORM SKIFF_FILE SKIFF_NOFILE DENO_DIR DENO_NO_UPDATE_CHECK DENO_NO_PROMPT DENO_TLS_CA_STORE
  boot= freezes=@FREEZES@
  [ -z "$freezes" ] || read -r boot </proc/sys/kernel/random/boot_id 2>/dev/null
  frozen=$dir/$boot
  # what the dynamic linker is asked is done at the runtime's own start alone
  [ -z "$boot" ] || [ -n "${SKIFF_COLD_START-}${LD_PRELOAD-}${LD_LIBRARY_PATH-}${GLIBC_TUNABLES-}" ] || begin_frozen "$@"
  PATH=$caller_path
  exec "$dir/skiff" run @FLAGS@ "$dir/main.js" "$@"
}

# A process that has booted and loaded the program is kept in a file, for this boot of the machine, and the command goes on
# where it stopped. The second start of a boot makes the file, in the background; what keeps it from that is in `why`.
begin_frozen() {
  if [ -s "$frozen/skiff" ] && [ -x "$frozen/skiff" ]; then
    PATH=$caller_path
    exec "$frozen/skiff" "$dir/skiff" run @FLAGS@ "$dir/main.js" "$@"
  fi
  [ -w "$dir" ] || return 0
  if [ -e "$frozen/why" ]; then
    # empty for long: who made it was killed; else another caller, with other limits, may have more luck
    [ -z "$(find "$frozen/why" \( -empty -mmin +5 -o -mmin +60 \) 2>/dev/null)" ] || rm -f "$frozen/why"
    return 0
  fi
  if [ ! -d "$frozen" ]; then
    mkdir -m 700 "$frozen" 2>/dev/null
  elif (umask 077 && set -C && : >"$frozen/why") 2>/dev/null; then # once
    (umask 077 && trap '' HUP TERM && cd / && exec env -i DENO_DIR=/dev/null/none DENO_NO_UPDATE_CHECK=1 DENO_NO_PROMPT=1 \
      DENO_TLS_CA_STORE=system,mozilla MALLOC_ARENA_MAX=1 MALLOC_TOP_PAD_=0 \
      "$dir/skiff" run @FLAGS@,--no-flush-bytecode,--no-memory-protection-keys "$dir/main.js" __freeze "$frozen" \
      </dev/null >/dev/null 2>"$frozen/why" 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &)
  fi
}

outside=0
# In a session of `skiff unshare` 0 is the user.
[ -z "${_SKIFF_UNSHARED-}" ] || read -r _ outside _ </proc/self/uid_map
if [ "$uid" = 0 ] && [ "$outside" = 0 ]; then # never below a HOME that may be another's
  set_of='/var/cache /var/lib'
  first= second= third= fourth=
else
  set_of=
  case ${XDG_CACHE_HOME-} in /*) first=$XDG_CACHE_HOME ;; *) first= ;; esac
  case ${HOME-} in /*) second=$HOME/.cache ;; *) second= ;; esac
  case ${XDG_RUNTIME_DIR-} in /*) third=$XDG_RUNTIME_DIR ;; *) third= ;; esac
  [ "$outside" != 0 ] || outside=$uid
  fourth=/tmp/skiff-$outside-cache
fi
for base in "$first" "$second" "$third" "$fourth" $set_of; do
  [ -n "$base" ] || continue
  top=$base/skiff dir=$base/skiff/$id
  ! is_whole "$dir" || start "$@"
done
reasons=
for base in "$first" "$second" "$third" "$fourth" $set_of; do
  [ -n "$base" ] || continue
  # Links on the way are followed once, and what they lead to is judged; in /tmp there may be none.
  [ "$base" = "$fourth" ] ||
    base=$(umask 077 && mkdir -p "$base" 2>/dev/null && cd -P "$base" 2>/dev/null && pwd -P || printf %s "$base")
  top=$base/skiff dir=$base/skiff/$id
  ! { is_whole "$dir" || unpack; } || start "$@"
  reasons="$reasons
  $top: $why"
done
fail "unpack skiff: no folder to unpack it into:$reasons" 'XDG_CACHE_HOME names a folder of your own'
}
