## The stories as programs.
noinst_PROGRAMS += records_naive
records_naive_SOURCES = examples/records_naive.c
records_naive_CFLAGS = $(AM_CFLAGS) -g
EXTRA_DIST += examples/demo.sh

if WITH_PRELOAD
noinst_PROGRAMS += pool_basic upload_chunks
endif
pool_basic_SOURCES = examples/pool_basic.c
pool_basic_CFLAGS = $(AM_CFLAGS) -g
pool_basic_LDADD = libullage.la
pool_basic_LDFLAGS = $(AM_LDFLAGS) -no-install
upload_chunks_SOURCES = examples/upload_chunks.c
upload_chunks_CFLAGS = $(AM_CFLAGS) -g
upload_chunks_LDADD = libullage.la
upload_chunks_LDFLAGS = $(AM_LDFLAGS) -no-install

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
