# Results of `ullage bench run --format json` as a table: the first variant of a benchmark, and the others as ratios to it.
def ns: if . == null then "" elif . < 1000 then "\(. * 100 | round / 100) ns" elif . < 1e6 then "\(. / 10 | round / 100) µs" else "\(. / 10000 | round / 100) ms" end;
def metric($n): (.metrics[] | select(.name == $n)) // {};
def percent: if . == null then "" else "±\(. * 100 | round) %" end;
# Repetitions are in turn: the median of the ratios of neighbours is less disturbed than the ratio of the medians.
def paired($a; $b): [$a, $b] | transpose | map(select(.[0] != null and .[1] != null) | .[0] / .[1]) | sort | .[length / 2 | floor] | if . == null then "" else "\(. * 1000 | round / 1000)×" end;
"| benchmark | variant | time | spread | ratio | CPU time | ratio |",
"|---|---|---|---|---|---|---|",
(.results | group_by(.name) | map({key: .[0].name, value: .}) | from_entries) as $of
| (reduce .results[].name as $n ([]; if index($n) then . else . + [$n] end))[] as $name
| $of[$name] as $all
| (.results | map(select(.name == $name)))[0] as $first
| (.results | map(select(.name == $name)))[]
| [ .name, .variant, (metric("ns/op").median | ns), (metric("ns/op").spread | percent),
    (if .variant == $first.variant then "" else paired(metric("ns/op").samples; $first | metric("ns/op").samples) end),
    (metric("cpu-ns/op").median | ns),
    (if .variant == $first.variant then "" else paired(metric("cpu-ns/op").samples; $first | metric("cpu-ns/op").samples) end) ]
| "| " + join(" | ") + " |"
