# SPDX-License-Identifier: BSD-2-Clause
# What the command tests share. ULLAGE, PRELOAD and BUILD come from the Makefile.
setup() {
    [ -e "$PRELOAD" ] || { echo "no interposer at '$PRELOAD': run by make check, or set ULLAGE, PRELOAD, BUILD, SOURCE"; return 1; }
    SCRATCH=$(mktemp -d /tmp/ullage-bats-XXXXXX)
    export ULLAGE_DIR=$SCRATCH/ledgers
    unset ULLAGE_MIN_BYTES ULLAGE_SAMPLE_BYTES ULLAGE_MEASURE ULLAGE_UNWINDER NO_COLOR
    cd "$SCRATCH" || return 1
    head -c 40000 /dev/urandom > small
    seq 1 100000 > numbers
}

teardown() {
    cd /
    [ -z "${SCRATCH:-}" ] || rm -rf "$SCRATCH"
}

# The first site of the report, by a jq filter.
first_site() {
    jq -r ".sites[0] | $1" "${2:-report.json}"
}

# The program alone and under ullage: the same output and the same status.
same_as_alone() {
    local alone=0 beside=0
    "$@" > alone.out 2> alone.err || alone=$?
    "$ULLAGE" run --json report.json -- "$@" > beside.out 2> beside.err || beside=$?
    [ "$alone" -eq "$beside" ] || { echo "status $alone alone, $beside under ullage"; return 1; }
    cmp alone.out beside.out || return 1
    cmp alone.err beside.err || return 1
    jq -e .version report.json > /dev/null
}
