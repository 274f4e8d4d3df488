## Public headers, one a concept.
pkginclude_HEADERS = \
	include/ullage/alloc.h \
	include/ullage/bench.h \
	include/ullage/bench_result.h \
	include/ullage/budget.h \
	include/ullage/record.h \
	include/ullage/buffer.h \
	include/ullage/export.h \
	include/ullage/jemalloc.h \
	include/ullage/pool.h \
	include/ullage/procedures.h \
	include/ullage/profile.h \
	include/ullage/recording.h \
	include/ullage/site.h \
	include/ullage/ullage.h \
	include/ullage/view.h

if WITH_TIRPC
pkginclude_HEADERS += include/ullage/xdr.h
endif
