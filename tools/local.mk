## The command. Linked to the objects of libullage-view, so that it runs from the build tree without a wrapper script whose
## LD_LIBRARY_PATH the programs it runs would inherit; and to libullage's, for its record reader, without what makes a ledger.
bin_PROGRAMS += ullage
ullage_SOURCES = tools/main.c tools/command.h tools/command.c tools/cmd_bench.c tools/cmd_run.c tools/cmd_report.c tools/cmd_ls.c tools/cmd_records.c \
	tools/lines.h tools/lines.c \
	tools/tally.h tools/tally.c \
	tools/bench/bench.h \
	tools/bench/baseline.c \
	tools/bench/compare.c \
	tools/bench/findings.c \
	tools/bench/gate.h tools/bench/gate.c \
	tools/bench/options.c \
	tools/bench/read.c \
	tools/bench/stacks.c \
	tools/bench/stats.h tools/bench/stats.c \
	tools/bench/timing.c \
	tools/bench/trial.h tools/bench/trial.c \
	tools/bench/verdict.c \
	tools/bench/verbs.c \
	tools/preload.h tools/preload.c
ullage_CPPFLAGS = -I$(top_srcdir)/include -I$(top_srcdir)/tools -DPKGLIBDIR=\"$(pkglibdir)\"
ullage_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
ullage_LDADD = libull-view.la libull-unrecorded.la libull-bench.la $(JANSSON_LIBS) -lm
