#!/bin/sh
# skiff @VERSION@: a shell header and, after it, a compressed Deno runtime with the program. The first
# start unpacks both into a private folder named after their content; every start runs them from there.
# On x86-64 a program stands before it that knows the usual start alone and is quicker (ffi/launch_program.ts): what
# changes here about that, changes there. For all other starts it executes this text, with its own path as $0.
# Its own names begin with skiff_: what a caller has exported by another one is for his containers.
{ # read as a whole, so that a file cut off in here does nothing
skiff_caller_path=$PATH
PATH=/usr/bin:/bin:/usr/sbin:/sbin
export PATH
skiff_id=@ID@

fail() {
  printf 'Error: %s\n' "$1" >&2
  [ -z "${2-}" ] || printf 'hint: %s\n' "$2" >&2
  exit 125
}

# The runtime would say it in its own words.
{ [ -n "$PWD" ] && pwd -P >/dev/null 2>&1; } || fail 'find the current folder: it has been removed' 'cd to another'

case $0 in
/*) skiff_self=$0 ;;
./*) skiff_self=$PWD/${0#./} ;;
*) skiff_self=$PWD/$0 ;;
esac
while read -r skiff_key skiff_rest skiff_uid skiff_rest; do
  [ "$skiff_key" != Uid: ] || break
done 2>/dev/null </proc/self/status || fail "read /proc/self/status: skiff needs /proc"

# With a limit $1 of less than $2 the runtime would end with a trace of its own.
is_enough() {
  [ "$1" = unlimited ] || [ "$1" -ge "$2" ] || fail "start with $1 $3: the runtime needs $2" "$4"
}

# Collects the facts of every folder from / down to $1 and of the files below it that follow, with one
# stat(1); true if each folder belongs to root or the user and nobody else may write to it.
are_mine() {
  skiff_where=$1/
  shift
  skiff_number=$#
  skiff_parent=$skiff_where
  while [ -n "$skiff_parent" ]; do
    skiff_parent=${skiff_parent%/*}
    [ -n "$skiff_parent" ] || break
    [ ! -h "$skiff_parent" ] || return 1
    set -- "$skiff_parent" "$@"
  done
  # in the C locale, for which nothing is loaded
  skiff_facts=$({ ulimit -Sn && ulimit -Hn && ulimit -Sv && ulimit -Sd && ulimit -Ss && cd "$skiff_where" &&
    export LC_ALL=C && exec stat -c %u:%f:%s / "$@"; } 2>/dev/null) || return 1
  set -- $skiff_facts
  skiff_nofile=$1
  is_enough "$2" 100 descriptors 'ulimit -Hn 1024' # it raises the soft limit by itself
  is_enough "$3" 60000000 'kB of addresses' 'ulimit -v unlimited' # V8 sets aside more than 32 GB
  is_enough "$4" 700000 'kB of data' 'ulimit -d unlimited'
  is_enough "$5" 512 'kB of stack' 'ulimit -s 8192'
  shift 5
  skiff_owner=${1%%:*}
  while [ $# -gt "$skiff_number" ]; do
    skiff_mode=${1#*:} skiff_mode=0x${skiff_mode%%:*}
    case ${1%%:*} in
    0 | "$skiff_uid" | "$skiff_owner") ;; # who owns / decides anyway (65534 in a user namespace)
    *) return 1 ;;
    esac
    # a folder that others may write to is good only with the sticky bit, as /tmp has it
    [ $((skiff_mode & 0xf012)) = 16384 ] || [ $((skiff_mode & 0xf200)) = 16896 ] || return 1
    skiff_last=$1
    shift
  done
  skiff_facts=$*
  case $skiff_last in
  "$skiff_uid":41c0:* | "$skiff_uid":45c0:*) ;; # the last folder is the user's own, 0700
  *) return 1 ;;
  esac
}

# True if what was unpacked into $1 is there as it was. $skiff_kept tells of the process that is kept there for this
# boot: `yes` if its folder and file are as they were, too, `no` if they are not, nothing if there is none.
is_whole() {
  skiff_kept= skiff_size=
  [ -x "$1/skiff" ] || return 1
  if [ -z "$skiff_boot" ] || [ ! -s "$1/$skiff_boot/skiff" ]; then
    are_mine "$1" @FILES@ && [ "$skiff_facts" = "@FACTS@" ]
    return
  fi
  [ ! -f "$1/$skiff_boot/size" ] || read -r skiff_size <"$1/$skiff_boot/size"
  are_mine "$1" @FILES@ "$skiff_boot" "$skiff_boot/skiff" || return 1
  case $skiff_facts in
  "@FACTS@ $skiff_uid:41c0:"*" $skiff_uid:8140:$skiff_size" | \
    "@FACTS@ $skiff_uid:45c0:"*" $skiff_uid:8140:$skiff_size") skiff_kept=yes ;;
  "@FACTS@ "*) skiff_kept=no ;;
  *) return 1 ;;
  esac
}

# Makes $skiff_dir, or says in $skiff_why what stands against it.
unpack() {
  skiff_why='cannot be made'
  (umask 077 && mkdir -p "$skiff_top") 2>/dev/null || return 1
  skiff_why='not a folder that only this user can change'
  are_mine "$skiff_top" || return 1
  # a redirection of its own, not exec: --preserve-fds passes on what the caller has open as 9
  unpack_locked 9<"$skiff_top"
}

unpack_locked() {
  # One start unpacks and the others wait; where flock(1) is not there, or the one hangs, each unpacks for itself.
  ! flock -w 60 9 2>/dev/null || ! is_whole "$skiff_dir" || return 0
  # what a killed start left, and versions unpacked a month ago (who still has one unpacks it again)
  find "$skiff_top" -maxdepth 1 -name '.new-*' -mmin +60 -exec rm -rf {} + 2>/dev/null
  find "$skiff_top" -maxdepth 1 -name '????????????????' -mtime +30 -exec rm -rf {} + 2>/dev/null
  skiff_why='cannot be written'
  skiff_new=
  trap '[ -z "$skiff_new" ] || rm -rf "$skiff_new"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  skiff_new=$(mktemp -d "$skiff_top/.new-XXXXXX" 2>/dev/null) || return 1
  skiff_errors=$({ tail -c +@OFFSET@ "$skiff_self" | gzip -dc | tar -xf - -C "$skiff_new"; } 2>&1)
  # What is written in small pieces stays in small pieces in memory, and each start finds them one by one: 2 ms.
  cp -p "$skiff_new/skiff" "$skiff_new/.skiff" 2>/dev/null && mv -f "$skiff_new/.skiff" "$skiff_new/skiff" ||
    rm -f "$skiff_new/.skiff"
  if [ "$(cd "$skiff_new" && sha256sum 2>&1 <SHA256SUMS)" != "@SUMS@  -" ] ||
    ! (cd "$skiff_new" && sha256sum -c SHA256SUMS) >/dev/null 2>&1; then
    case $skiff_errors in
    *'o space left'* | *'uota exceeded'*)
      rm -rf "$skiff_new"
      fail "unpack skiff into $skiff_top: no space left (@NEED@ MB are needed)" 'XDG_CACHE_HOME names another folder'
      ;;
    esac
    [ "$(tail -c +@OFFSET@ "$skiff_self" | sha256sum)" = "@PAYLOAD@  -" ] ||
      fail "unpack skiff: $skiff_self is damaged" 'download it again'
    skiff_why="cannot be written: $skiff_errors"
    rm -rf "$skiff_new"
    return 1
  fi
  chmod 700 "$skiff_new"
  skiff_errors=$("$skiff_new/skiff" --version 2>&1)
  case $? in
  0) ;;
  126)
    skiff_why='on a file system mounted noexec'
    rm -rf "$skiff_new"
    return 1
    ;;
  *) fail "run the unpacked runtime: $skiff_errors" 'it needs glibc 2.31 or newer' ;;
  esac
  # Another start may have been faster (then it is whole), or what is there is damaged and has to go.
  if ! mv -fT "$skiff_new" "$skiff_dir" 2>/dev/null; then
    if ! is_whole "$skiff_dir"; then
      skiff_old=$(mktemp -d "$skiff_top/.new-XXXXXX") && mv -fT "$skiff_dir" "$skiff_old" 2>/dev/null
      mv -fT "$skiff_new" "$skiff_dir" 2>/dev/null
      chmod -R u+rwX "$skiff_old" 2>/dev/null
      rm -rf "$skiff_old" 2>/dev/null # what another user owns in it stays for him to remove
    fi
    rm -rf "$skiff_new"
  fi
  trap - EXIT HUP INT TERM
  skiff_why='changes while skiff starts'
  is_whole "$skiff_dir"
}

# What the runtime would obey is put aside, for it belongs to the caller's containers.
for skiff_name in @ASIDE@; do
  eval "skiff_value=\${$skiff_name-} skiff_known=\${$skiff_name+set}"
  if [ -n "$skiff_known" ]; then
    export "SKIFF_CALLER_$skiff_name=$skiff_value"
    unset "$skiff_name"
  fi
done

# The code cache lies beside the program: Deno keeps there what it has compiled.
start() {
  SKIFF_FORM=packed SKIFF_FILE=$skiff_self SKIFF_NOFILE=$skiff_nofile DENO_DIR=$skiff_dir/cache
  export SKIFF_FORM SKIFF_FILE SKIFF_NOFILE DENO_DIR @VARIABLES@
  [ -z "$skiff_boot" ] || begin_frozen "$@"
  PATH=$skiff_caller_path
  exec "$skiff_dir/skiff" run @FLAGS@ "$skiff_dir/main.js" "$@"
}

# A process that has booted and loaded the program is kept in a file, for this boot of the machine, and the command goes on
# where it stopped. The second start of a boot makes the file, in the background; what keeps it from that is in `why`.
begin_frozen() {
  skiff_frozen=$skiff_dir/$skiff_boot
  if [ "$skiff_kept" = yes ]; then
    PATH=$skiff_caller_path
    exec "$skiff_frozen/skiff" "$skiff_dir/skiff" run @FLAGS@ "$skiff_dir/main.js" "$@"
  fi
  [ -w "$skiff_dir" ] || return 0
  # somebody has changed it: it is made anew
  [ "$skiff_kept" != no ] || rm -rf "$skiff_frozen" 2>/dev/null
  if [ -e "$skiff_frozen/why" ]; then
    # empty for long: who made it was killed; else another caller, with other limits, may have more luck
    [ -z "$(find "$skiff_frozen/why" \( -empty -mmin +5 -o -mmin +60 \) 2>/dev/null)" ] || rm -f "$skiff_frozen/why"
    return 0
  fi
  if [ ! -d "$skiff_frozen" ]; then
    mkdir -m 700 "$skiff_frozen" 2>/dev/null
  elif (umask 077 && set -C && : >"$skiff_frozen/why") 2>/dev/null; then # once
    (umask 077 && trap '' HUP TERM && cd / && exec env -i DENO_DIR=/dev/null/none @VARIABLES@ \
      "$skiff_dir/skiff" run @FLAGS@,--no-flush-bytecode,--no-memory-protection-keys "$skiff_dir/main.js" \
      __freeze "$skiff_frozen" \
      </dev/null >/dev/null 2>"$skiff_frozen/why" 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &)
  fi
}

skiff_boot= skiff_freezes=@FREEZES@
# what the dynamic linker is asked is done at the runtime's own start alone
[ -z "$skiff_freezes" ] || [ -n "@COLD@" ] ||
  { read -r skiff_boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
case $skiff_boot in *[!0-9a-f-]*) skiff_boot= ;; esac

skiff_outside=0
# In a session of `skiff unshare` 0 is the user.
[ -z "${_SKIFF_UNSHARED-}" ] || read -r skiff_rest skiff_outside skiff_rest </proc/self/uid_map
if [ "$skiff_uid" = 0 ] && [ "$skiff_outside" = 0 ]; then # never below a HOME that may be another's
  skiff_set_of='/var/cache /var/lib'
  skiff_first= skiff_second= skiff_third= skiff_fourth=
else
  skiff_set_of=
  case ${XDG_CACHE_HOME-} in /*) skiff_first=$XDG_CACHE_HOME ;; *) skiff_first= ;; esac
  case ${HOME-} in /*) skiff_second=$HOME/.cache ;; *) skiff_second= ;; esac
  case ${XDG_RUNTIME_DIR-} in /*) skiff_third=$XDG_RUNTIME_DIR ;; *) skiff_third= ;; esac
  [ "$skiff_outside" != 0 ] || skiff_outside=$skiff_uid
  skiff_fourth=/tmp/skiff-$skiff_outside-cache
fi
for skiff_base in "$skiff_first" "$skiff_second" "$skiff_third" "$skiff_fourth" $skiff_set_of; do
  [ -n "$skiff_base" ] || continue
  skiff_top=$skiff_base/skiff skiff_dir=$skiff_base/skiff/$skiff_id
  ! is_whole "$skiff_dir" || start "$@"
done
skiff_reasons=
for skiff_base in "$skiff_first" "$skiff_second" "$skiff_third" "$skiff_fourth" $skiff_set_of; do
  [ -n "$skiff_base" ] || continue
  # Links on the way are followed once, and what they lead to is judged; in /tmp there may be none.
  [ "$skiff_base" = "$skiff_fourth" ] ||
    skiff_base=$(umask 077 && mkdir -p "$skiff_base" 2>/dev/null && cd -P "$skiff_base" 2>/dev/null && pwd -P ||
      printf %s "$skiff_base")
  skiff_top=$skiff_base/skiff skiff_dir=$skiff_base/skiff/$skiff_id
  ! { is_whole "$skiff_dir" || unpack; } || start "$@"
  skiff_reasons="$skiff_reasons
  $skiff_top: $skiff_why"
done
skiff_hint='XDG_CACHE_HOME names a folder of your own'
if [ -n "$skiff_set_of" ]; then
  skiff_hint="make one of them root's, and writable for root alone"
  # as unshare -r makes one: who is 0 there is not the root whose folders these are
  ! read -r skiff_rest skiff_outside skiff_rest </proc/self/uid_map || [ "$skiff_outside" = 0 ] ||
    skiff_hint='start skiff outside of this user namespace: it makes one of its own'
fi
fail "unpack skiff: no folder to unpack it into:$skiff_reasons" "$skiff_hint"
}
