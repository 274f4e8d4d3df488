## The stories as programs.
noinst_PROGRAMS += records_naive
records_naive_SOURCES = examples/records_naive.c
records_naive_CFLAGS = $(AM_CFLAGS) -g
EXTRA_DIST += examples/demo.sh

if WITH_PRELOAD
if WITH_JEMALLOC
noinst_PROGRAMS += upload_jemalloc
endif
endif
upload_jemalloc_SOURCES = examples/upload_jemalloc.c
upload_jemalloc_CFLAGS = $(AM_CFLAGS) -g
upload_jemalloc_LDADD = libullage.la $(JEMALLOC_LIBS)
upload_jemalloc_LDFLAGS = $(AM_LDFLAGS) -no-install

## A project outside of the tree, built against an installed copy by tests/lib/check-install.sh.
EXTRA_DIST += examples/bench_user
