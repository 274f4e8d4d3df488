#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# servers.sh - what looking costs a server under load, and what the scan from outside costs: medians, the two sides interleaved
# in one run. Called by make bench-servers, which sets ULLAGE and BUILD. ROUNDS=N for more than 7 rounds. Needs redis-server,
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

# pair NAME: reads "alone with" lines of requests a second
pair() {
    cat > "$place/pairs"
    printf '| %s | %s | %s | %.3f |\n' "$1" "$(awk '{ print $1 }' "$place/pairs" | median)" \
        "$(awk '{ print $2 }' "$place/pairs" | median)" "$(awk '{ print $1 / $2 }' "$place/pairs" | median)"
}

redis_round() { # COMMAND...: requests a second, of SET and GET of 100 bytes
    "$@" redis-server --port 0 --unixsocket "$place/redis" --save '' --daemonize no > /dev/null 2>&1 &
    server=$!
    wait_for redis-cli -s "$place/redis" ping
    redis-benchmark -s "$place/redis" -q -t set,get -n 60000 -c 32 -d "$size" --csv 2> /dev/null \
        | awk -F'"' 'NR > 1 { sum += 1 / $4; n++ } END { print n / sum }'
    redis-cli -s "$place/redis" shutdown nosave > /dev/null 2>&1 || true
    wait "$server" || true
    server=
}

nginx_round() { # COMMAND...
    "$@" nginx -p "$place" -e "$place/error.log" -c "$place/nginx.conf" -g 'daemon off;' > /dev/null 2>&1 &
    server=$!
    wait_for curl -sf http://127.0.0.1:18923/small
    wrk -t1 -c16 -d2s "http://127.0.0.1:18923/$page" | awk '/Requests.sec/ { print $2 }'
    kill -QUIT "$(cat "$place/nginx.pid")"
    wait "$server" || true
    server=
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
    proxy_buffers 8 128k; proxy_buffer_size 128k; proxy_busy_buffers_size 256k;
    server { listen 127.0.0.1:18923; root $place;
        location /proxied { proxy_pass http://127.0.0.1:18924/small; proxy_http_version 1.1; } }
    server { listen 127.0.0.1:18924; root $place; }
}
END
head -c 1000 /dev/zero | tr '\0' x > "$place/small"

echo "machine: $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r); $rounds rounds"
echo
echo '| requests a second | alone | with ullage run | ratio |'
echo '|---|---|---|---|'
for size in 100 100000; do
    for _ in $(seq "$rounds"); do
        echo "$(redis_round env) $(redis_round "$ULLAGE" run --json /dev/null --)"
    done | pair "redis, values of $size bytes"
done
for page in small proxied; do
    for _ in $(seq "$rounds"); do
        echo "$(nginx_round env) $(nginx_round "$ULLAGE" run --json /dev/null --)"
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
