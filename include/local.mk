## Public headers, one a concept.
pkginclude_HEADERS = \
	include/ullage/bench.h \
	include/ullage/bench_result.h \
	include/ullage/export.h \
	include/ullage/jemalloc.h \
	include/ullage/profile.h \
	include/ullage/recording.h \
	include/ullage/ullage.h \
	include/ullage/view.h
