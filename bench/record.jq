# What bench/record.sh measured (bench-results/record-*.json), as two tables: the figures, and the bars with what was reached.
# jq -n -r -f bench/record.jq record-*.json; with --arg missed yes only the missed bars, a line each.
def ways: ["raw", "placed", "xdrrec", "naive", "ullage"];
def title: {raw: "read(2)", placed: "read(2) to where it can stay", xdrrec: "libtirpc", naive: "1 MiB cleared", ullage: "Ullage"}[.];
def sizes: {"128": "128 B", "1024": "1 KiB", "65536": "64 KiB", "1048576": "1 MiB"};
def streams: {unix: "unix_socket", apart: "unix_socket", tcp: "tcp_socket"};
def places: {unix: "UNIX", apart: "UNIX, two processors", tcp: "TCP"};

# Each figure: of which part, work and metric, how it is called.
def figures:
    [streams | to_entries[] as $stream | sizes | to_entries[] | {part: $stream.key, work: "\($stream.value)/\(.key)", metric: "cpu-ns/op", called: "\(places[$stream.key]), \(.value)"}]
    + [{part: "parse", work: "parse/128", metric: "cpu-ns/op", called: "parsing alone, 128 B"}, {part: "parse", work: "parse/1024", metric: "cpu-ns/op", called: "parsing alone, 1 KiB"},
       {part: "memory", work: "idle_10000", metric: "idle-bytes", called: "an idle connection of 10,000"},
       {part: "memory", work: "announced_10000/0", metric: "rss-bytes", called: "10,000 that announce 2 GiB"},
       {part: "memory", work: "announced_10000/4", metric: "rss-bytes", called: "10,000 that announce 2 GiB and send 4 bytes of it"},
       {part: "memory", work: "announced_10000/4", metric: "held-bytes", called: "10,000 that announce 2 GiB and send 4 bytes of it: charged for buffers"},
       {part: "memory", work: "half_records_1000", metric: "whole", called: "1,000 half-records, budget for ten: became whole"},
       {part: "memory", work: "half_records_1000", metric: "refused", called: "1,000 half-records, budget for ten: refused"},
       {part: "memory", work: "half_records_1000", metric: "hung", called: "1,000 half-records, budget for ten: neither"},
       {part: "fragments", work: "fragments_refused", metric: "cpu-ns/op", called: "1 MiB in fragments of a byte, until it is refused"},
       {part: "fragments", work: "fragments/262144", metric: "cpu-ns/op", called: "256 KiB in fragments of a byte, allowed"},
       {part: "fragments", work: "fragments/1048576", metric: "cpu-ns/op", called: "1 MiB in fragments of a byte, allowed"},
       {part: "fragments", work: "fragments/4194304", metric: "cpu-ns/op", called: "4 MiB in fragments of a byte, allowed"},
       {part: "memory", work: "story_326", metric: "held-bytes", called: "story 1: 326 connections"}];

# Each bar: at_most: ours / theirs; at_least: theirs / ours; value: ours alone. A peer_work is our own, of another size.
def at_most($part; bars): [bars | to_entries[] | {part: $part, work: "\(streams[$part])/\(.key)", kind: "at_most", peer: "raw", bar: .value}];
def at_least($part; $peer; bars): [bars | to_entries[] | {part: $part, work: "\(streams[$part])/\(.key)", kind: "at_least", peer: $peer, bar: .value}];
def bars:
    (at_most("unix"; {"128": 1.7, "1024": 1.1, "65536": 1.3, "1048576": 1.3})
    + at_least("unix"; "xdrrec"; {"128": 2.2}) + at_least("tcp"; "xdrrec"; {"128": 1.5})
    + at_least("unix"; "naive"; {"128": 100, "1024": 100, "65536": 5}) + at_least("tcp"; "naive"; {"128": 100, "1024": 100, "65536": 5})
    + [{part: "parse", work: "parse/128", kind: "value", bar: 5},
       {part: "memory", work: "idle_10000", metric: "idle-bytes", kind: "value", bar: 256},
       {part: "memory", work: "announced_10000/0", metric: "rss-bytes", kind: "value", bar: 4e6},
       {part: "memory", work: "announced_10000/4", metric: "rss-bytes", kind: "value", bar: 4e6},
       {part: "memory", work: "half_records_1000", metric: "hung", kind: "value", bar: 0},
       {part: "fragments", work: "fragments_refused", kind: "value", bar: 10e6},
       {part: "fragments", work: "fragments/1048576", kind: "value", bar: 10e6},
       {part: "fragments", work: "fragments/4194304", kind: "at_most", peer: "ullage", peer_work: "fragments/1048576", bar: 5},
       {part: "memory", work: "story_326", metric: "held-bytes", kind: "value", bar: 1e6}])
    | map(.metric //= "cpu-ns/op");

def middle: sort | if length == 0 then null elif length % 2 == 1 then .[length / 2 | floor] else (.[length / 2] + .[length / 2 - 1]) / 2 end;
def digits: if . >= 100 then round elif . >= 10 then (. * 10 | round / 10) else (. * 100 | round / 100) end;
def shown($metric):
    if . == null then ""
    elif $metric == "cpu-ns/op" then (if . < 1000 then "\(digits) ns" elif . < 1e6 then "\(. / 1000 | digits) µs" else "\(. / 1e6 | digits) ms" end)
    elif $metric | endswith("bytes") then (if . < 1e5 then "\(round) B" else "\(. / 1e6 | digits) MB" end)
    else "\(. * 1000 | round / 1000)" end;
def row: "| " + join(" | ") + " |";
def name: . as $f | first(figures[] | select(.part == $f.part and .work == $f.work and .metric == $f.metric) | .called);

# [parts] | the samples of one figure, in the order of the rounds
def samples($part; $work; $way; $metric): [.[] | select(.part == $part) | .results[] | select(.name == $work and .variant == $way)
    | .metrics[]? | select(.name == $metric) | .samples[]];
def reached($bar):
    samples($bar.part; $bar.work; "ullage"; $bar.metric) as $mine
    | (if $bar.kind == "value" then $mine else samples($bar.part; $bar.peer_work // $bar.work; $bar.peer; $bar.metric) end) as $theirs
    | [range([$mine, $theirs | length] | min) | [$theirs[.], $mine[.]]]
    | map(if $bar.kind == "value" then .[1] elif $bar.kind == "at_most" then (if .[0] > 0 then .[1] / .[0] else empty end)
          elif .[1] > 0 then .[0] / .[1] else empty end)
    | middle;
def holds($bar): if $bar.kind == "at_least" then . >= $bar.bar else . <= $bar.bar end;
def unit($bar): if $bar.kind == "value" then shown($bar.metric) else "\(digits)×" end;
def bar_text($bar): (if $bar.kind == "at_least" then "≥ " else "≤ " end) + ($bar.bar | unit($bar));
def against($bar): if $bar.kind == "value" then "" elif $bar.peer_work then ($bar | .work = .peer_work | name) else $bar.peer | title end;

def table: . as $parts
    | (["work, CPU of the reading thread or memory"] + (ways | map(title)) | row), (["---"] + (ways | map("---")) | row),
      (figures[] as $f | (ways | map(. as $way | $parts | samples($f.part; $f.work; $way; $f.metric) | middle)) as $values
        | select($values | any(. != null)) | [$f.called] + ($values | map(shown($f.metric))) | row);
def judged: . as $parts
    | (["work", "against", "bar", "reached"] | row), (["---", "---", "---", "---"] | row),
      (bars[] as $bar | ($parts | reached($bar)) as $value | select($value != null)
        | [($bar | name), against($bar), bar_text($bar), ($value | unit($bar)) + (if $value | holds($bar) then "" else " **missed**" end)] | row);
def missed: . as $parts | bars[] as $bar | ($parts | reached($bar)) as $value | select($value != null) | select($value | holds($bar) | not)
    | "missed: \($bar | name)\(if against($bar) == "" then "" else " against \(against($bar))" end): \($value | unit($bar)), the bar is \(bar_text($bar))";

[inputs | {part: (input_filename | sub("^.*record-"; "") | sub("\\.json$"; "")), results: .results}]
| if $ARGS.named.missed then missed else table, "", judged end
