## Public headers, one a concept.
pkginclude_HEADERS = include/ullage/view.h include/ullage/export.h
