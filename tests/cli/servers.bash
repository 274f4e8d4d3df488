# SPDX-License-Identifier: BSD-2-Clause
# Servers for a test: started, waited for, ended with all that descends from them; and a network of their own for those that need one.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
unset MAKEFLAGS MFLAGS MAKELEVEL
servers=() # pids to end, with all that descends from them
daemons=() # files that hold the pid of one that left its parent

poll() { # COMMAND...: until it succeeds, for some seconds; COMMAND itself is bounded
    local end=$((SECONDS + 6))
    until "$@" > poll.out 2>&1; do
        [ "$SECONDS" -lt "$end" ] || { echo "in vain: $*"; tail -n 3 poll.out; return 1; }
        sleep 0.05
    done
}

gone() { # PID: also one that nobody has waited for yet
    ! kill -0 "$1" 2> /dev/null || grep -q '^State:[[:space:]]*Z' "/proc/$1/status"
}

descendants() { # PID
    local child
    for child in $(pgrep -P "$1"); do
        descendants "$child"
        echo "$child"
    done
}

end_servers() {
    local pid file all=()
    for file in "${daemons[@]}"; do
        pid=$(cat "$file" 2> /dev/null) && servers+=("$pid")
    done
    for pid in "${servers[@]}"; do
        all+=($(descendants "$pid") "$pid")
    done
    [ "${#all[@]}" -gt 0 ] || return 0
    kill "${all[@]}" 2> /dev/null || true
    for pid in "${all[@]}"; do
        poll gone "$pid" || kill -KILL "$pid" || true
    done
}

need() { # PROGRAM...
    local program
    for program; do
        command -v "$program" > /dev/null || skip "no $program"
    done
}

serve() { # NAME COMMAND...: in the background, its streams in NAME.out and NAME.err
    local name=$1
    shift
    "$@" > "$name.out" 2> "$name.err" < /dev/null 3>&- &
    server=$!
    servers+=("$server")
}

ended() { # PID: once it has ended; its status in $status
    poll gone "$1"
    status=0
    wait "$1" || status=$?
    unset "servers[-1]"
}

is_root() { [ "$(id -u)" -eq 0 ]; }

# A network and a /run that nobody else sees; they live as long as $holder.
own_network() {
    is_root || skip "a network of its own needs root"
    need unshare nsenter ip mount rpcbind rpcinfo
    serve holder unshare -m -n sh -c '
        set -e
        mount -t tmpfs tmpfs /run
        mkdir -p /run/rpcbind /run/ganesha /run/lock
        chown _rpc /run/rpcbind 2> /dev/null || true
        [ ! -d /var/lib/nfs ] || mount -t tmpfs tmpfs /var/lib/nfs
        mkdir -p /var/lib/nfs/ganesha
        ip link set lo up
        touch ready
        exec sleep 60'
    holder=$server
    for _ in $(seq 100); do
        [ ! -e ready ] || return 0
        kill -0 "$holder" 2> /dev/null || break
        sleep 0.05
    done
    skip "no network of its own: $(tail -n 1 holder.err)"
}

inside() { # COMMAND...: in that network; the process itself becomes COMMAND
    exec nsenter -t "$holder" -m -n -- sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"
}

tcp_answers() { # PROGRAM VERSION [OPTION...]
    (inside timeout 3 rpcinfo "${@:3}" -T tcp 127.0.0.1 "$1" "$2")
}

nfs() { # COMMAND...
    (inside timeout 5 "$@")
}
