#!/usr/bin/env bash
# systemd-lab.sh: a throw-away systemd (PID 1 of its own pid/mount/cgroup/net/ipc/uts
# namespaces) for testing unit files on a machine whose PID 1 is not systemd.
# Root file system = overlay of the host's / with its writes in a tmpfs: nothing the
# lab writes reaches the host, except under the shared folder (/lab inside).
#
#   systemd-lab.sh run  [-t SECONDS] [-u USER] [-s SHARE] -- CMD...   start, run, stop
#   systemd-lab.sh start [-s SHARE] DIR         boot; returns once the target is up (<= 30 s)
#   systemd-lab.sh exec  [-t SECONDS] [-u USER] DIR -- CMD...
#   systemd-lab.sh keep [-s SHARE] DIR          boot, say "up", kill it when stdin ends
#   systemd-lab.sh kill9 DIR                    every process at once, no shutdown (page cache survives)
#   systemd-lab.sh stop  DIR                    orderly, then cgroup.kill after 15 s
#
# -u USER: created in the lab when missing (uid 61000..), lingering, with its own
# `systemd --user`; XDG_RUNTIME_DIR and the bus address are set for CMD.
# The lab has a net namespace with loopback only. Every step is bounded in time, and a lab
# that nobody stops is killed after SYSTEMD_LAB_LIFE seconds (1800). The default /lab folder
# is world-writable; a SHARE of your own keeps its modes. Controllers may be missing in cgroup
# v2 (hybrid hosts): MemoryMax=/TasksMax= are then not enforced, everything else is.
# A folder named by SYSTEMD_LAB_PROGRAMS is seen, read-only, at /opt/steroids.
# Needs: root, overlayfs, cgroup v2 mounted anywhere, systemd, dbus, util-linux.
# shellcheck disable=SC2002,SC2015,SC2016
set -euo pipefail
me=$(readlink -f "$0")
BOOT_LIMIT=${SYSTEMD_LAB_BOOT_LIMIT:-30} STOP_LIMIT=${SYSTEMD_LAB_STOP_LIMIT:-15} LIFE=${SYSTEMD_LAB_LIFE:-1800}
say() { printf 'systemd-lab: %s\n' "$*" >&2; }
die() { say "$*"; exit 125; }

cgroup2_root() { awk '$3=="cgroup2"{print $2; exit}' /proc/mounts; }

# ---- inside the new namespaces, before systemd ---------------------------------
stage2() {
  local dir=$1 share=$2 r
  mount --make-rprivate /
  mkdir -p "$dir/ov"; mount -t tmpfs -o mode=755,size=512m sdlab "$dir/ov"
  mkdir -p "$dir/ov/up" "$dir/ov/wk" "$dir/ov/root"; r=$dir/ov/root
  mount -t overlay -o "lowerdir=/,upperdir=$dir/ov/up,workdir=$dir/ov/wk" overlay "$r"
  mount -t proc -o nosuid,nodev,noexec proc "$r/proc"
  local m; for m in sys sysrq-trigger; do [ -e "$r/proc/$m" ] || continue   # host-wide knobs: read-only
    mount --bind "$r/proc/$m" "$r/proc/$m"; mount -o remount,bind,ro,nosuid,nodev,noexec "$r/proc/$m"; done
  mount --bind /proc/sys/net "$r/proc/sys/net"
  mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$r/sys"
  mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$r/sys/fs/cgroup"
  mount -t tmpfs -o mode=755 tmpfs "$r/dev"
  local n; for n in null zero full random urandom tty; do
    : >"$r/dev/$n"; mount --bind "/dev/$n" "$r/dev/$n"; done
  mkdir -p "$r/dev/pts" "$r/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$r/dev/pts"
  mount -t tmpfs -o mode=1777 tmpfs "$r/dev/shm"
  ln -s pts/ptmx "$r/dev/ptmx"; ln -s /proc/self/fd "$r/dev/fd"
  ln -s /proc/self/fd/0 "$r/dev/stdin"; ln -s /proc/self/fd/1 "$r/dev/stdout"; ln -s /proc/self/fd/2 "$r/dev/stderr"
  mount -t tmpfs -o mode=755 tmpfs "$r/run"; mkdir -p "$r/run/lock"
  rm -rf "$r/var/log/journal"; mkdir -p "$r/lab"; mount --bind "$share" "$r/lab"
  if [ -n "${SYSTEMD_LAB_PROGRAMS:-}" ]; then
    mkdir -p "$r/opt/steroids"; mount --bind "$SYSTEMD_LAB_PROGRAMS" "$r/opt/steroids"
    mount -o remount,bind,ro,nosuid,nodev "$r/opt/steroids"
  fi
  # Else each boot removes, name by name, what lies in the host's.
  mount -t tmpfs -o mode=1777 tmpfs "$r/tmp"
  # A user's manager goes with the last session, not ten seconds after.
  mkdir -p "$r/etc/systemd/logind.conf.d"
  printf '[Login]\nUserStopDelaySec=0\n' >"$r/etc/systemd/logind.conf.d/lab.conf"
  : >"$r/etc/fstab"; echo sdlab >"$r/etc/hostname"; hostname sdlab
  tr -d - </proc/sys/kernel/random/uuid >"$r/etc/machine-id"
  local u; for u in systemd-udevd.service systemd-udev-trigger.service systemd-modules-load.service \
    systemd-sysctl.service systemd-timesyncd.service systemd-networkd.service systemd-resolved.service \
    getty.target console-getty.service systemd-remount-fs.service dev-hugepages.mount dev-mqueue.mount \
    sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount \
    systemd-update-utmp.service systemd-random-seed.service proc-sys-fs-binfmt_misc.automount \
    systemd-firstboot.service systemd-pstore.service systemd-tmpfiles-clean.timer; do
    ln -sf /dev/null "$r/etc/systemd/system/$u"; done
  cat >"$r/etc/systemd/system/sdlab.target" <<'U'
[Unit]
Description=lab target
Requires=basic.target
Wants=dbus.socket systemd-logind.service systemd-journald.service
After=basic.target dbus.socket systemd-logind.service
AllowIsolate=yes
U
  cd "$r"; mkdir -p .old; pivot_root . .old; umount -l /.old; rmdir /.old 2>/dev/null || :
  exec env -i container=sdlab PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=sdlab.target --show-status=0 --log-target=journal </dev/null
}

ns() { # DIR CMD... : in the lab's namespaces, as root, in the lab's own cgroup tree
  local dir=$1 pid; shift; pid=$(cat "$dir/pid1") || die "not running: $dir"
  nsenter -t "$pid" -m -p -i -u -n -C -r --wdns=/ -- env -i HOME=/root TERM=dumb \
    PATH=/root/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

start() {
  local share='' dir; [ "${1:-}" = -s ] && { share=$2; shift 2; }
  dir=$1; mkdir -p "$dir"; dir=$(readlink -f "$dir"); [ -n "$share" ] || { mkdir -p "$dir/share"; chmod 1777 "$dir/share"; share=$dir/share; }; mkdir -p "$share"
  share=$(readlink -f "$share"); [ -e "$dir/pid1" ] && die "already started: $dir"
  local c; c=$(cgroup2_root); [ -n "$c" ] || die 'no cgroup v2 hierarchy is mounted'
  c=$c/sdlab-$$-$RANDOM; mkdir "$c"; echo "$c" >"$dir/cgroup"
  ( echo $BASHPID >"$c/cgroup.procs"
    exec setsid timeout -s KILL "$LIFE" unshare --mount --pid --cgroup --uts --ipc --net --fork --kill-child=SIGKILL \
      bash "$me" __stage2 "$dir" "$share" </dev/null >"$dir/boot.log" 2>&1 ) &
  local up=$! i p1='' un=''; disown "$up" 2>/dev/null || :
  for ((i = 0; i < BOOT_LIMIT * 10; i++)); do
    kill -0 "$up" 2>/dev/null || { cat "$dir/boot.log" >&2; cleanup "$dir"; die 'systemd ended while booting'; }
    un=$(cat "/proc/$up/task/$up/children" 2>/dev/null | tr -d ' ') || :
    p1=''; [ -n "$un" ] && p1=$(cat "/proc/$un/task/$un/children" 2>/dev/null | tr -d ' ') || :
    if [ -n "$p1" ] && [ "$(cat "/proc/$p1/comm" 2>/dev/null)" = systemd ]; then
      echo "$p1" >"$dir/pid1"; echo "$un" >"$dir/unshare.pid"
      case $(timeout 5 bash "$me" __state "$dir" 2>/dev/null) in running | degraded) return 0 ;; esac
    fi
    sleep 0.1
  done
  say 'no boot in time'; cat "$dir/boot.log" >&2; kill9 "$dir"; exit 124
}

user_up() { # DIR USER
  ns "$1" bash -c 'u=$1; id "$u" >/dev/null 2>&1 || useradd -m -s /bin/bash -K UID_MIN=61000 -K UID_MAX=61999 "$u"
    id=$(id -u "$u"); mkdir -p /var/lib/systemd/linger; : >/var/lib/systemd/linger/"$u"
    systemctl start "user@$id.service" && for i in $(seq 100); do [ -S /run/user/$id/bus ] && exit 0; sleep 0.05; done; exit 1' _ "$2"
}

lexec() {
  local t=120 user=''; while :; do case ${1:-} in -t) t=$2; shift 2 ;; -u) user=$2; shift 2 ;; *) break ;; esac; done
  local dir; dir=$(readlink -f "$1"); shift; [ "${1:-}" = -- ] && shift
  if [ -z "$user" ]; then ns "$dir" timeout -k 5 "$t" "$@"; return; fi
  user_up "$dir" "$user" || die "no user manager for $user"
  ns "$dir" timeout -k 5 "$t" setpriv --reuid "$user" --regid "$user" --init-groups -- bash -c '
    id=$(id -u); export HOME=$(getent passwd "$id" | cut -d: -f6) USER=$(id -un) XDG_RUNTIME_DIR=/run/user/$id
    export DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$id/bus; cd; exec "$@"' _ "$@"
}

cleanup() {
  local dir=$1 c i; c=$(cat "$dir/cgroup" 2>/dev/null) || return 0
  [ -d "$c" ] && { echo 1 >"$c/cgroup.kill" 2>/dev/null || :
    for ((i = 0; i < 50; i++)); do grep -q 'populated 0' "$c/cgroup.events" && break; sleep 0.1; done
    find "$c" -depth -type d -exec rmdir {} \; 2>/dev/null || :; }
  rm -f "$dir/pid1" "$dir/unshare.pid" "$dir/cgroup"; rmdir "$dir/ov" 2>/dev/null || :
}
kill9() { cleanup "$(readlink -f "$1")"; }
stop() {
  local dir p i; dir=$(readlink -f "$1"); p=$(cat "$dir/pid1" 2>/dev/null) || { cleanup "$dir"; return 0; }
  kill -s "$(($(kill -l RTMIN) + 4))" "$p" 2>/dev/null || :      # SIGRTMIN+4: poweroff
  for ((i = 0; i < STOP_LIMIT * 10; i++)); do [ -d "/proc/$p" ] || break; sleep 0.1; done
  cleanup "$dir"
}

case ${1:-} in
  __stage2) shift; stage2 "$@" ;;
  __state) ns "$2" systemctl is-system-running || : ;;
  start) shift; start "$@" ;;
  exec) shift; lexec "$@" ;;
  keep) shift; d=${*: -1}; trap 'kill9 "$d"' EXIT; trap 'exit 1' INT TERM HUP; trap '' PIPE
    start "$@" </dev/null; echo up; cat >/dev/null ;;
  stop) shift; stop "$1" ;;
  kill9) shift; kill9 "$1" ;;
  run) shift; a=() s=(); while :; do case ${1:-} in -t | -u) a+=("$1" "$2"); shift 2 ;; -s) s=(-s "$2"); shift 2 ;; *) break ;; esac; done
    [ "${1:-}" = -- ] && shift; d=$(mktemp -d); trap 'stop "$d"; rm -rf --one-file-system "$d"' EXIT
    start "${s[@]}" "$d"; rc=0; lexec "${a[@]}" "$d" -- "$@" || rc=$?; exit "$rc" ;;
  *) sed -n '2,25p' "$me"; exit 2 ;;
esac
