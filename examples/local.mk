## The stories as programs.
noinst_PROGRAMS += records_naive
records_naive_SOURCES = examples/records_naive.c
records_naive_CFLAGS = $(AM_CFLAGS) -g
EXTRA_DIST += examples/demo.sh

if WITH_PRELOAD
noinst_PROGRAMS += epoll_server pool_basic records_capped upload_chunks
if WITH_OPENSSL
noinst_PROGRAMS += tls_records
endif
endif
epoll_server_SOURCES = examples/epoll_server.c examples/epoll_clients.h examples/epoll_clients.c
epoll_server_CFLAGS = $(AM_CFLAGS) -g
epoll_server_LDADD = libullage.la
epoll_server_LDFLAGS = $(AM_LDFLAGS) -no-install
records_capped_SOURCES = examples/records_capped.c
records_capped_CFLAGS = $(AM_CFLAGS) -g
records_capped_LDADD = libullage.la
records_capped_LDFLAGS = $(AM_LDFLAGS) -no-install
tls_records_SOURCES = examples/tls_records.c examples/tls_setup.h examples/tls_setup.c
tls_records_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS) -g
tls_records_LDADD = libullage.la $(OPENSSL_LIBS)
tls_records_LDFLAGS = $(AM_LDFLAGS) -no-install
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

if WITH_PRELOAD
if WITH_TIRPC
noinst_PROGRAMS += rpc_server
endif
endif
rpc_server_SOURCES = examples/rpc_server.c
rpc_server_CFLAGS = $(AM_CFLAGS) $(TIRPC_CFLAGS) -g
rpc_server_LDADD = libullage-xdr.la libullage.la $(TIRPC_LIBS)
rpc_server_LDFLAGS = $(AM_LDFLAGS) -no-install

## A project outside of the tree, built against an installed copy by tests/lib/check-install.sh.
EXTRA_DIST += examples/bench_user
