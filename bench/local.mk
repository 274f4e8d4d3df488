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
