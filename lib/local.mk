## The libraries. Rooms and who may include whom: docs/architecture.md, held by tests/lib/check-includes.

## Common ground of both sides: knows neither ledger nor program.
noinst_LTLIBRARIES += libull-common.la
libull_common_la_SOURCES = \
	lib/base/atomic.h lib/base/arith.h \
	lib/base/check.h lib/base/check.c \
	lib/base/directory.h lib/base/directory.c \
	lib/base/lock.h \
	lib/base/map64.h lib/base/map64.c \
	lib/base/misuse.h lib/base/misuse.c \
	lib/base/quantity.h lib/base/quantity.c \
	lib/base/sys.h lib/base/sys.c \
	lib/pages/scan.h lib/pages/scan.c \
	lib/pages/span.h lib/pages/span.c

## Write side.
noinst_LTLIBRARIES += libull-write.la
libull_write_la_SOURCES = \
	lib/ledger/budget.h lib/ledger/budget.c \
	lib/ledger/budgets.h lib/ledger/budgets.c \
	lib/ledger/format.h \
	lib/ledger/identity.h lib/ledger/identity.c \
	lib/ledger/live.h lib/ledger/live.c \
	lib/ledger/reap.h lib/ledger/reap.c \
	lib/ledger/sites.h lib/ledger/sites.c \
	lib/ledger/writer.h lib/ledger/writer.c \
	lib/measure/begin.h lib/measure/begin.c \
	lib/measure/budget.c \
	lib/measure/jemalloc.h lib/measure/jemalloc.c \
	lib/measure/life.c \
	lib/measure/modules.h lib/measure/modules.c \
	lib/measure/named.h lib/measure/named.c \
	lib/measure/profile.c \
	lib/measure/recorder.h lib/measure/recorder.c \
	lib/measure/recording.c \
	lib/measure/sampling.h lib/measure/sampling.c \
	lib/measure/stack.h lib/measure/stack.c \
	lib/measure/state.h \
	lib/measure/guard.h lib/measure/guard.c \
	lib/measure/use.h lib/measure/use.c
libull_write_la_LIBADD = libull-common.la libull-state.la libull-pool.la

## The recorder's state: behind the small variables of all of the above.
noinst_LTLIBRARIES += libull-state.la
libull_state_la_SOURCES = lib/measure/state.c

## For our own command, which uses the reader and is no subject.
noinst_LTLIBRARIES += libull-unrecorded.la
libull_unrecorded_la_SOURCES = lib/measure/unrecorded.c
libull_unrecorded_la_LIBADD = libull-write.la

## Pools and buffers. Linked last: between the few pages of memory that an interposed program touches, their tables would lie.
noinst_LTLIBRARIES += libull-pool.la
libull_pool_la_SOURCES = \
	lib/pool/adaptive.c \
	lib/pool/any.c \
	lib/pool/block.h \
	lib/pool/cache.h lib/pool/cache.c \
	lib/pool/classes.h \
	lib/pool/clear.h lib/pool/clear.c \
	lib/pool/debug.h lib/pool/debug.c \
	lib/pool/decay.h lib/pool/decay.c \
	lib/pool/hot.h \
	lib/pool/leak.h lib/pool/leak.c \
	lib/pool/learn.c \
	lib/pool/magazine.h lib/pool/magazine.c \
	lib/pool/map.h lib/pool/map.c \
	lib/pool/pool.h lib/pool/pool.c \
	lib/pool/pools.c \
	lib/pool/settings.h lib/pool/settings.c \
	lib/pool/slab.h lib/pool/slab.c \
	lib/pool/slow.c \
	lib/pool/source.h lib/pool/source.c \
	lib/pool/thread.h lib/pool/thread.c \
	lib/pool/track.h lib/pool/track.c \
	lib/pool/uncounted.h lib/pool/uncounted.c \
	lib/buffer/alloc.c \
	lib/buffer/buffer.c \
	lib/buffer/chain.c \
	lib/buffer/charge.h \
	lib/buffer/slice.c \
	lib/record/assembler.c \
	lib/record/clock.c \
	lib/record/count.h lib/record/count.c \
	lib/record/crowd.h lib/record/crowd.c \
	lib/record/fill.h lib/record/fill.c \
	lib/record/marker.h \
	lib/record/memory.c \
	lib/record/party.h lib/record/party.c \
	lib/record/pieces.c \
	lib/record/proxy.c \
	lib/record/reader.h lib/record/reader.c \
	lib/record/refuse.c \
	lib/record/rpc.c \
	lib/record/settings.h lib/record/settings.c \
	lib/record/writer.c

## For programs that link it. libgcc's unwinder is linked in and hidden, as below.
if WITH_PRELOAD
lib_LTLIBRARIES += libullage.la
pkgconfig_DATA += lib/measure/ullage.pc
endif
libullage_la_SOURCES = lib/measure/library.c
libullage_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -shared -no-undefined -Wl,-z,nodelete \
	-Wc,-static-libgcc -Wl,--exclude-libs,libgcc.a:libgcc_eh.a -Wl,-z,now -Wl,-z,defs \
	-Wl,--version-script=$(top_srcdir)/lib/measure/ullage.map
libullage_la_LIBADD = libull-write.la
EXTRA_libullage_la_DEPENDENCIES = lib/measure/ullage.map
EXTRA_DIST += lib/measure/ullage.map

## Records as XDR streams. Apart from libullage, which depends on libc alone.
if WITH_TIRPC
noinst_LTLIBRARIES += libull-xdr.la
if WITH_PRELOAD
lib_LTLIBRARIES += libullage-xdr.la
pkgconfig_DATA += lib/xdr/ullage-xdr.pc
endif
endif
libull_xdr_la_SOURCES = \
	lib/xdr/kind.h \
	lib/xdr/decode.c \
	lib/xdr/memory.c \
	lib/xdr/out.h lib/xdr/out.c \
	lib/xdr/pieces.c \
	lib/xdr/stream.c
libull_xdr_la_CFLAGS = $(AM_CFLAGS) $(TIRPC_CFLAGS)
libull_xdr_la_LIBADD = $(TIRPC_LIBS)
libullage_xdr_la_SOURCES =
libullage_xdr_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -no-undefined -Wl,-z,defs \
	-Wl,--version-script=$(top_srcdir)/lib/xdr/xdr.map
libullage_xdr_la_LIBADD = libull-xdr.la libullage.la
EXTRA_libullage_xdr_la_DEPENDENCIES = lib/xdr/xdr.map
EXTRA_DIST += lib/xdr/xdr.map

## The interposer. libgcc's unwinder is linked in and hidden: the program's own stays what it was.
if WITH_PRELOAD
pkglib_LTLIBRARIES += libullage-preload.la
endif
libullage_preload_la_SOURCES = \
	lib/preload/malloc.c \
	lib/preload/mallocx.c \
	lib/preload/new.c \
	lib/preload/next.h lib/preload/next.c \
	lib/preload/pooled.h lib/preload/pooled.c \
	lib/preload/record.h \
	lib/preload/real.h lib/preload/real.c \
	lib/preload/setup.c \
	lib/preload/threads.h lib/preload/threads.c
libullage_preload_la_CFLAGS = $(AM_CFLAGS) -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free -fexceptions
libullage_preload_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -no-undefined \
	-Wc,-static-libgcc -Wl,--exclude-libs,libgcc.a:libgcc_eh.a -Wl,-z,now -Wl,-z,defs \
	-Wl,--version-script=$(top_srcdir)/lib/preload/preload.map
libullage_preload_la_LIBADD = libull-write.la
EXTRA_libullage_preload_la_DEPENDENCIES = lib/preload/preload.map
EXTRA_DIST += lib/preload/preload.map

## Read side: its objects once, for the library, for the command, and for unit tests, which look inside.
noinst_LTLIBRARIES += libull-view.la
libull_view_la_SOURCES = \
	lib/view/adopted.h lib/view/adopted.c \
	lib/view/arena.h lib/view/arena.c \
	lib/view/clean.h lib/view/clean.c \
	lib/view/file.h lib/view/file.c \
	lib/view/flag.h lib/view/flag.c \
	lib/view/frames.h lib/view/frames.c \
	lib/view/gaps.h lib/view/gaps.c \
	lib/view/hint.h lib/view/hint.c \
	lib/view/list.c \
	lib/view/making.h lib/view/making.c \
	lib/view/measure.h lib/view/measure.c \
	lib/view/pools.h lib/view/pools.c \
	lib/view/procedures.h lib/view/procedures.c \
	lib/view/process.h lib/view/process.c \
	lib/view/profiles.h lib/view/profiles.c \
	lib/view/programs.c \
	lib/view/readings.h lib/view/readings.c \
	lib/view/scanner.c \
	lib/view/shards.h lib/view/shards.c \
	lib/view/sidecar.h lib/view/sidecar.c \
	lib/view/sizes.c \
	lib/view/snapshot.h lib/view/snapshot.c \
	lib/view/strays.c \
	lib/view/symbolize.h lib/view/symbolize.c \
	lib/view/thresholds.c \
	lib/view/tree.c \
	lib/export/json.c \
	lib/export/names.h lib/export/names.c \
	lib/export/procedures.h lib/export/procedures.c \
	lib/export/records.h lib/export/records.c \
	lib/export/text.c \
	lib/export/writer.h lib/export/writer.c
libull_view_la_CFLAGS = $(AM_CFLAGS) $(LIBDW_CFLAGS) $(JANSSON_CFLAGS)
libull_view_la_LIBADD = libull-common.la $(LIBDW_LIBS) $(JANSSON_LIBS)

lib_LTLIBRARIES += libullage-view.la
libullage_view_la_SOURCES =
libullage_view_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -no-undefined \
	-Wl,--version-script=$(top_srcdir)/lib/view/view.map
libullage_view_la_LIBADD = libull-view.la
EXTRA_libullage_view_la_DEPENDENCIES = lib/view/view.map
EXTRA_DIST += lib/view/view.map
pkgconfig_DATA += lib/view/ullage-view.pc
