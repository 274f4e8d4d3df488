## What the interposer costs: make bench
noinst_PROGRAMS += loop
loop_SOURCES = bench/loop.c
loop_CFLAGS = $(AM_CFLAGS) -O2
EXTRA_DIST += bench/cost.sh
if WITH_PRELOAD
bench: loop ullage libullage-preload.la
	ULLAGE='$(abs_top_builddir)/ullage' PRELOAD='$(abs_top_builddir)/.libs/libullage-preload.so' \
	BUILD='$(abs_top_builddir)' $(SHELL) $(top_srcdir)/bench/cost.sh
endif

## jemalloc's unwinder against ours; needs libjemalloc-dev
if WITH_PRELOAD
if WITH_JEMALLOC
noinst_PROGRAMS += bench_backtrace
endif
endif
bench_backtrace_SOURCES = bench/backtrace.c
bench_backtrace_CFLAGS = $(AM_CFLAGS) $(JEMALLOC_CFLAGS) -fno-optimize-sibling-calls
bench_backtrace_LDADD = libullage.la $(JEMALLOC_LIBS)
bench_backtrace_LDFLAGS = $(AM_LDFLAGS) -no-install

## Servers under load, and the scan from outside: make bench-servers
noinst_PROGRAMS += held
held_SOURCES = bench/held.c
held_CFLAGS = $(AM_CFLAGS) -O2
EXTRA_DIST += bench/servers.sh
if WITH_PRELOAD
bench-servers: held ullage libullage-preload.la
	ULLAGE='$(abs_top_builddir)/ullage' PRELOAD='$(abs_top_builddir)/.libs/libullage-preload.so' \
	BUILD='$(abs_top_builddir)' $(SHELL) $(top_srcdir)/bench/servers.sh
endif
.PHONY: bench-servers
