## The harness: its objects once, for the library and for the command.
noinst_LTLIBRARIES += libull-bench.la
libull_bench_la_SOURCES = \
	bench/harness/harness.h bench/harness/run.h \
	bench/harness/body.c \
	bench/harness/child.c \
	bench/harness/clock.c \
	bench/harness/drive.c \
	bench/harness/judge.c \
	bench/harness/main.c \
	bench/harness/registry.c \
	bench/harness/result.c \
	bench/harness/series.c \
	bench/harness/spawn.c \
	bench/harness/whole.c \
	bench/format/format.h bench/format/format.c \
	bench/format/bencher.c \
	bench/format/github.c \
	bench/format/go.c \
	bench/format/google.c \
	bench/format/json.c \
	bench/format/junit.c \
	bench/format/markdown.c \
	bench/format/prometheus.c \
	bench/format/put.c \
	bench/format/tap.c \
	bench/format/text.c
libull_bench_la_CPPFLAGS = $(AM_CPPFLAGS) -DPKGLIBDIR=\"$(pkglibdir)\"
libull_bench_la_LIBADD = -lm

lib_LTLIBRARIES += libullage-bench.la
libullage_bench_la_SOURCES =
libullage_bench_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -no-undefined \
	-Wl,--version-script=$(top_srcdir)/bench/harness/bench.map
libullage_bench_la_LIBADD = libull-bench.la
EXTRA_libullage_bench_la_DEPENDENCIES = bench/harness/bench.map
EXTRA_DIST += bench/harness/bench.map
pkgconfig_DATA += bench/harness/ullage-bench.pc

## Our own benchmarks.
bench_ldflags = $(AM_LDFLAGS) -no-install
bench_cflags = $(AM_CFLAGS) -O2
if WITH_PRELOAD
noinst_PROGRAMS += bench_finder
endif
bench_finder_SOURCES = bench/finder.c bench/steps.h
bench_finder_CPPFLAGS = -I$(top_srcdir)/include '-DULLAGE_BENCH_FLAGS="$(CFLAGS)"'
bench_finder_CFLAGS = $(bench_cflags)
bench_finder_LDADD = libullage-bench.la libullage.la
bench_finder_LDFLAGS = $(bench_ldflags)

## Buffers and pools beside other allocators: peers are preloaded, Go's sync.Pool is a program of its own.
if WITH_PRELOAD
noinst_PROGRAMS += bench_pool
endif
bench_pool_SOURCES = bench/pool.c bench/pool_memory.c bench/pool_api.h bench/resident.h bench/ring.h
bench_pool_CPPFLAGS = $(bench_finder_CPPFLAGS)
bench_pool_CFLAGS = $(bench_cflags) -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-free
bench_pool_LDADD = $(bench_finder_LDADD)
bench_pool_LDFLAGS = $(bench_ldflags)
EXTRA_DIST += bench/pool.go bench/pool.jq bench/pool.sh

## Record readers beside read(2), a naive one and libtirpc's, where that is there (libtirpc-dev).
if WITH_PRELOAD
noinst_PROGRAMS += bench_record
endif
bench_record_SOURCES = bench/record.c bench/record_memory.c bench/record_xdrrec.c bench/record_api.h bench/resident.h
bench_record_CPPFLAGS = $(bench_finder_CPPFLAGS)
bench_record_CFLAGS = $(bench_cflags) -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-free
bench_record_LDADD = $(bench_finder_LDADD)
bench_record_LDFLAGS = $(bench_ldflags)
if WITH_TIRPC
bench_record_CPPFLAGS += $(TIRPC_CFLAGS) -DWITH_TIRPC
bench_record_LDADD += $(TIRPC_LIBS)
endif
EXTRA_DIST += bench/record.jq bench/record.sh

## jemalloc's unwinder against ours; needs libjemalloc-dev
if WITH_PRELOAD
if WITH_JEMALLOC
noinst_PROGRAMS += bench_backtrace
endif
endif
bench_backtrace_SOURCES = bench/backtrace.c
bench_backtrace_CPPFLAGS = -I$(top_srcdir)/include
bench_backtrace_CFLAGS = $(bench_cflags) $(JEMALLOC_CFLAGS) -fno-optimize-sibling-calls
bench_backtrace_LDADD = libullage-bench.la libullage.la $(JEMALLOC_LIBS)
bench_backtrace_LDFLAGS = $(bench_ldflags)

## A loop with a clock of its own: what the harness is held against. And what the decision by time is worth.
if WITH_PRELOAD
noinst_PROGRAMS += loop
endif
noinst_PROGRAMS += bench_power
loop_SOURCES = bench/loop.c bench/steps.h
loop_CPPFLAGS = -I$(top_srcdir)/include
loop_CFLAGS = $(bench_cflags)
loop_LDADD = $(bench_finder_LDADD)
loop_LDFLAGS = $(bench_ldflags) -Wl,--no-as-needed
bench_power_SOURCES = bench/power.c tools/bench/stats.h tools/bench/stats.c tools/bench/trial.h tools/bench/trial.c
bench_power_CPPFLAGS = -I$(top_srcdir)/tools/bench
bench_power_CFLAGS = $(bench_cflags)
bench_power_LDADD = -lm

## Servers under load, and the scan from outside
noinst_PROGRAMS += held
held_SOURCES = bench/held.c
held_CFLAGS = $(bench_cflags)
EXTRA_DIST += bench/cost.sh bench/servers.sh bench/null.sh bench/table.jq bench/performance.sh bench/baseline.json

bench_environment = ULLAGE='$(abs_top_builddir)/ullage' ULLAGE_PRELOAD='$(abs_top_builddir)/.libs/libullage-preload.so' \
	PRELOAD='$(abs_top_builddir)/.libs/libullage-preload.so' BUILD='$(abs_top_builddir)' SOURCE='$(abs_top_srcdir)'
if WITH_PRELOAD
## What the interposer costs, the harness, the unwinders; results in bench-results/.
bench: all
	$(bench_environment) $(SHELL) $(top_srcdir)/bench/cost.sh
## What a buffer costs, by ours and by others.
bench-pool: all
	$(bench_environment) $(SHELL) $(top_srcdir)/bench/pool.sh
## What reading records costs, by ours and by others.
bench-record: all
	$(bench_environment) $(SHELL) $(top_srcdir)/bench/record.sh
bench-servers: all
	$(bench_environment) $(SHELL) $(top_srcdir)/bench/servers.sh
## The same program against itself, over and over: no false alarm.
bench-null: all
	$(bench_environment) $(SHELL) $(top_srcdir)/bench/null.sh
## docs/performance.md and its plots, from bench-results/.
performance: all
	$(bench_environment) $(SHELL) $(top_srcdir)/bench/performance.sh
endif
.PHONY: bench-pool bench-record bench-servers bench-null performance
CLEANFILES += bench-results/*.json bench-results/pool.md bench-results/record.md
