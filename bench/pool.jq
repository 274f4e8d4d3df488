# What bench/pool.sh measured (bench-results/pool-*.json), as two tables: the figures, and the bars with what was reached.
# jq -n -r -f bench/pool.jq pool-*.json; with --arg missed yes only the missed bars, a line each.
def ours: ["ullage", "buffer", "pool", "learned"];
def variants: ["glibc", "jemalloc", "mimalloc", "tcmalloc", "go"] + ours;
def title: {ullage: "ullage_malloc", buffer: "ullage_buffer_get", pool: "ullage_pool_get", learned: "ullage_buffer_get(0)", go: "sync.Pool"}[.] // .;
def works: {
    "get_put/65536": "64 KiB", "get_put/1048576": "1 MiB", "get_put/16777216": "16 MiB", burst_65536: "64 KiB, burst of 512",
    "bare_ring/threads:2": "a pointer through the ring", "handover/threads:2": "64 KiB from thread to thread",
    "bare_ring_4096/threads:2": "4 KiB written, read through the ring", "handover_4096/threads:2": "64 KiB from thread to thread, 4 KiB written, read", "upload/1": "100 KiB in 16 MiB, 1 live", "upload/8": "100 KiB in 16 MiB, 8 live",
    "upload/64": "100 KiB in 16 MiB, 64 live", mostly_idle_326: "326 of 1 MiB, 4 KiB used, 1 % full", zeroed_1048576: "1 MiB zeroed, 4 KiB declared",
    after_burst: "two decay periods after a burst" };
def metrics: {"ns/op": "time", "rss-bytes": "resident", "minor-faults/op": "faults an operation", "resident-share": "still resident"};

# Each bar: of which work, which figure, against whom. at_least: theirs / ours; at_most: ours / theirs; more: ours - theirs; value: ours.
# A peer that begins with - is our own variant of that name: ullage-untracked beside ullage.
def threads: ["ullage", "buffer", "pool"];
def against($work; bars): [bars | to_entries[] | {part: ($work | sub("[/_0-9].*"; "") | {get: "get_put"}[.] // .), $work, kind: "at_least", peer: .key, bar: .value, of: threads}];
def bars:
    against("get_put/65536"; {tcmalloc: 1, glibc: 5, mimalloc: 2.5, jemalloc: 50, go: 1.5})
    + against("get_put/1048576"; {tcmalloc: 5, mimalloc: 20})
    + against("get_put/16777216"; {tcmalloc: 7, jemalloc: 80})
    + against("burst_65536"; {glibc: 200, tcmalloc: 3})
    + against("handover/threads:2"; {glibc: 80, tcmalloc: 50, jemalloc: 50, mimalloc: 8})
    + [{part: "handover", work: "handover/threads:2", kind: "at_most", peer: "glibc", peer_work: "bare_ring/threads:2", bar: 4, of: threads}]
    + against("handover_4096/threads:2"; {mimalloc: 2.5})
    + ([["upload/1", 500], ["upload/8", 1500], ["upload/64", 1500]] | map({part: "upload", work: .[0], kind: "at_least", peer: "glibc", bar: .[1], of: ours}))
    + [{part: "upload", work: "upload/64", metric: "rss-bytes", kind: "at_least", peer: "glibc", bar: 100, of: ours}]
    + (["upload/1", "upload/8", "upload/64"] | map({part: "upload", work: ., metric: "minor-faults/op", kind: "value", bar: 0.01, of: ours}))
    + [{part: "idle", work: "mostly_idle_326", metric: "rss-bytes", kind: "at_least", peer: "glibc", bar: 25, of: ["learned"]},
       {part: "idle", work: "mostly_idle_326", kind: "at_least", peer: "glibc", bar: 100, of: ["learned"]},
       {part: "tracking", work: "get_put/65536", kind: "at_most", peer: "-untracked", bar: 1.1, of: threads},
       {part: "tracking", work: "get_put/65536", kind: "more", peer: "-unsampled", bar: 2, of: threads},
       {part: "zeroed", work: "zeroed_1048576", kind: "at_least", peer: "glibc", bar: 300, of: ["buffer"]},
       {part: "resident", work: "after_burst", metric: "resident-share", kind: "value", ours: "-trim", bar: 0.05, of: threads},
       {part: "resident", work: "after_burst", metric: "resident-share", kind: "value", ours: "-background", bar: 0.05, of: threads}]
    | map(.metric //= "ns/op");

def middle: sort | if length == 0 then null elif length % 2 == 1 then .[length / 2 | floor] else (.[length / 2] + .[length / 2 - 1]) / 2 end;
def digits: if . >= 100 then round elif . >= 10 then (. * 10 | round / 10) else (. * 100 | round / 100) end;
def shown($metric):
    if . == null then ""
    elif $metric == "ns/op" then (if . < 1000 then "\(digits) ns" elif . < 1e6 then "\(. / 1000 | digits) µs" else "\(. / 1e6 | digits) ms" end)
    elif $metric == "rss-bytes" then "\(. / 1e6 | digits) MB"
    elif $metric == "resident-share" then "\(. * 100 | digits) %"
    else "\(. * 1000 | round / 1000)" end;

# [parts] | the samples of one figure, in the order of the rounds
def samples($part; $work; $variant; $metric): [.[] | select(.part == $part) | .results[] | select(.name == $work and .variant == $variant)
    | .metrics[] | select(.name == $metric) | .samples[]];
def reached($bar; $variant):
    samples($bar.part; $bar.work; $variant + ($bar.ours // ""); $bar.metric) as $mine
    | (if $bar.kind == "value" then $mine
       else samples($bar.part; $bar.peer_work // $bar.work; (if $bar.peer[0:1] == "-" then $variant + $bar.peer else $bar.peer end); $bar.metric) end) as $theirs
    | [range([$mine, $theirs | length] | min) | [$theirs[.], $mine[.]]]
    | map(if $bar.kind == "value" then .[1] elif $bar.kind == "more" then .[1] - .[0]
          elif $bar.kind == "at_most" then (if .[0] > 0 then .[1] / .[0] else empty end)
          elif .[1] > 0 then .[0] / .[1] else empty end)
    | middle;
def holds($bar): if $bar.kind == "at_least" then . >= $bar.bar else . <= $bar.bar end;
def peer($bar): {"-untracked": "without counting", "-unsampled": "without leak detection"}[$bar.peer // ""]
    // (if $bar.peer_work then works[$bar.peer_work] elif $bar.kind == "value" then ({"-trim": "ullage_trim()", "-background": "the background thread"}[$bar.ours // ""] // "")
        elif ["upload", "idle", "zeroed"] | index($bar.part) then "calloc" else $bar.peer | title end);
def unit($bar): if $bar.kind == "more" then shown("ns/op") elif $bar.kind == "value" then shown($bar.metric) else "\(digits)×" end;
def bar_text($bar): (if $bar.kind == "at_least" then "≥ " elif $bar.kind == "more" then "≤ +" else "≤ " end) + ($bar.bar | unit($bar));
def cell($bar; $variant): if ($bar.of | index($variant)) == null then "" else reached($bar; $variant)
    | if . == null then "not measured" else unit($bar) + (if holds($bar) then "" else " **missed**" end) end end;
def row: "| " + join(" | ") + " |";

def figures: . as $parts
    | ([.[].results[].variant] | unique) as $present
    | [variants[] | select([.] | inside($present))] as $columns
    | (["work", "figure"] + ($columns | map(title)) | row), (["work", "figure"] + $columns | map("---") | row),
      (works | keys_unsorted[] as $work | metrics | keys_unsorted[] as $metric
        | {$work, $metric, cells: ($columns | map(. as $variant | [$parts[] | select(.part != "tracking") | .part] | unique
            | map(. as $part | $parts | samples($part; $work; $variant; $metric)[]) | middle))}
        | select(.cells | any(. != null)) | select($metric != "minor-faults/op" or ($work | startswith("upload")))
        | select($metric != "ns/op" or $work != "after_burst")
        | [works[.work], metrics[.metric]] + (.cells | map(shown($metric))) | row);
def judged: . as $parts
    | (["work", "figure", "against", "bar"] + (ours | map(title)) | row), (["work", "figure", "against", "bar"] + ours | map("---") | row),
      (bars[] as $bar | select(any(.[]; .part == $bar.part))
        | (ours | map(. as $variant | $parts | cell($bar; $variant))) as $cells | select($cells | any(. != "" and . != "not measured"))
        | [works[$bar.work], metrics[$bar.metric], peer($bar), bar_text($bar)] + $cells | row);
def missed: . as $parts | bars[] as $bar | $bar.of[] as $variant | ($parts | reached($bar; $variant)) as $value
    | select($value != null) | select($value | holds($bar) | not)
    | "missed: \(works[$bar.work]), \(metrics[$bar.metric]), \($variant | title)\(if peer($bar) == "" then "" elif $bar.kind == "value" then " and \(peer($bar))" else " against \(peer($bar))" end): \($value | unit($bar)), the bar is \(bar_text($bar))";

[inputs | {part: (input_filename | sub("^.*pool-"; "") | sub("\\.json$"; "")), results: .results}]
| if $ARGS.named.missed then missed else figures, "", judged end
