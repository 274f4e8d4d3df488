## The stories as programs.
noinst_PROGRAMS += records_naive
records_naive_SOURCES = examples/records_naive.c
records_naive_CFLAGS = $(AM_CFLAGS) -g
EXTRA_DIST += examples/demo.sh
