#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# servers.sh - what looking costs a server under load, and what the scan from outside costs: medians, the two sides interleaved
# in one run. Called by make bench-servers, which sets ULLAGE and BUILD. ROUNDS=N for more than 7 rounds (of 1 s and less, three times as many). Needs redis-server,
# redis-tools, nginx and wrk; nothing else should run meanwhile.
set -eu
rounds=${ROUNDS:-7}
place=$(mktemp -d /tmp/ullage-bench-XXXXXX)
chmod 755 "$place"
server=
finish() { [ -z "$server" ] || kill "$server" 2> /dev/null || true; rm -rf "$place"; }
trap finish EXIT
export ULLAGE_DIR="$place/ledgers"
unset ULLAGE_MIN_BYTES ULLAGE_SAMPLE_BYTES ULLAGE_UNWINDER ULLAGE_MEASURE || true
median() { sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# wait_for COMMAND...: until it succeeds, 5 s at most
wait_for() {
    for _ in $(seq 100); do
        "$@" > /dev/null 2>&1 && return 0
        sleep 0.05
    done
    echo "in vain: $*" >&2
    return 1
}

# pair NAME: reads lines "rate cpu rate cpu", alone and with, of one round each; medians, and medians of the rounds' ratios
pair() {
    cat > "$place/pairs"
    column() { awk -v c="$1" '{ print $c }' "$place/pairs" | median; }
    printf '| %s | %.0f | %.0f | %.3f | %.2f | %.2f | %.3f |\n' "$1" "$(column 1)" "$(column 3)" \
        "$(awk '{ print $1 / $3 }' "$place/pairs" | median)" "$(column 2)" "$(column 4)" \
        "$(awk '{ print $4 / $2 }' "$place/pairs" | median)"
}

# cpu_ns PID...: what their threads ran so far
cpu_ns() { for pid in "$@"; do cat /proc/"$pid"/task/*/schedstat; done 2> /dev/null | awk '{ sum += $1 } END { printf "%d\n", sum }'; }

redis_round() { # COMMAND...: requests a second of SET and GET, and us of the server's CPU a request
    "$@" redis-server --port 0 --unixsocket "$place/redis" --pidfile "$place/redis.pid" --save '' --daemonize no > /dev/null 2>&1 &
    server=$!
    wait_for redis-cli -s "$place/redis" ping
    pid=$(redis-cli -s "$place/redis" info server | tr -d '\r' | sed -n 's/^process_id://p')
    before=$(cpu_ns "$pid")
    rate=$(redis-benchmark -s "$place/redis" -q -t set,get -n 100000 -c 32 -d "$size" --csv 2> /dev/null \
        | awk -F'"' 'NR > 1 { sum += 1 / $4; n++ } END { print n / sum }')
    after=$(cpu_ns "$pid")
    redis-cli -s "$place/redis" shutdown nosave > /dev/null 2>&1 || true
    wait "$server" || true
    server=
    echo "$rate $(((after - before) / 200))e-6"
}

nginx_round() { # COMMAND...
    "$@" nginx -p "$place" -e "$place/error.log" -c "$place/nginx.conf" -g 'daemon off;' > /dev/null 2>&1 &
    server=$!
    wait_for curl -sf http://127.0.0.1:18923/small
    workers=$(pgrep -P "$(cat "$place/nginx.pid")")
    # shellcheck disable=SC2086
    before=$(cpu_ns $workers)
    wrk -t1 -c16 -d1s "http://127.0.0.1:18923/$page" > "$place/wrk"
    # shellcheck disable=SC2086
    after=$(cpu_ns $workers)
    kill -QUIT "$(cat "$place/nginx.pid")"
    wait "$server" || true
    server=
    echo "$(awk '/Requests.sec/ { print $2 }' "$place/wrk") $(awk -v ns=$((after - before)) '/requests in/ { print ns / $1 / 1000 }' "$place/wrk")"
}

# both WHAT: one round of each side, in turn first
turn=0
both() {
    turn=$((turn + 1))
    if [ $((turn % 2)) = 1 ]; then
        a=$("$1" env)
        b=$("$1" "$ULLAGE" run --json /dev/null --)
    else
        b=$("$1" "$ULLAGE" run --json /dev/null --)
        a=$("$1" env)
    fi
    echo "$a $b"
}

cat > "$place/nginx.conf" <<END
worker_processes 1;
pid $place/nginx.pid;
error_log $place/error.log;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path $place/body; proxy_temp_path $place/proxy; fastcgi_temp_path $place/fastcgi;
    uwsgi_temp_path $place/uwsgi; scgi_temp_path $place/scgi;
    server { listen 127.0.0.1:18923; root $place;
        location /proxied { proxy_pass http://127.0.0.1:18924/small; proxy_http_version 1.1; }
        location /buffers-of-128K { proxy_pass http://127.0.0.1:18924/small; proxy_http_version 1.1;
            proxy_buffers 8 128k; proxy_buffer_size 128k; proxy_busy_buffers_size 256k; } }
    server { listen 127.0.0.1:18924; root $place; }
}
END
head -c 1000 /dev/zero | tr '\0' x > "$place/small"

echo "machine: $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r); $rounds rounds"
echo
echo '| requests a second | alone | with ullage run | ratio | us of CPU a request, alone | with | ratio |'
echo '|---|---|---|---|---|---|---|'
for size in 100 100000; do
    for _ in $(seq $((3 * rounds))); do
        both redis_round
    done | pair "redis, values of $size bytes"
done
for page in small proxied buffers-of-128K; do
    for _ in $(seq $((3 * rounds))); do
        both nginx_round
    done | pair "nginx, 1 kB $page"
done

echo
echo '| 10,000 buffers of 128 KiB held | alone | interposed | and scanned from outside |'
echo '|---|---|---|---|'
: > "$place/lines"
for _ in $(seq "$rounds"); do
    a=$("$BUILD/held" 10000 6)
    b=$(LD_PRELOAD=$PRELOAD "$BUILD/held" 10000 6)
    c=$(bash -c 'TIMEFORMAT="%U %S"; time "$0" run --json /dev/null -- "$1" 10000 6' "$ULLAGE" "$BUILD/held" 2> "$place/time")
    echo "$a $b $c" >> "$place/lines"
done
column() { awk -v c="$1" '{ print $c }' "$place/lines" | median; }
echo "| longest map, touch, unmap, us | $(column 1) | $(column 4) | $(column 7) |"
echo "| 99.9 of 100, us | $(column 2) | $(column 5) | $(column 8) |"
# The scanner's own time: that of the passes alone, and not of the report at the end.
"$ULLAGE" run --json "$place/report" -- "$BUILD/held" 10000 20 > /dev/null 2>&1 &
runner=$!
sleep 3
ticks() { awk '{ print $14 + $15 }' "/proc/$runner/stat"; }
first=$(ticks)
sleep 15
last=$(ticks)
wait "$runner" || true
echo "| the scanner's share of a core, % | | | $(awk -v t=$((last - first)) -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.2f", 100 * t / hz / 15 }') |"
