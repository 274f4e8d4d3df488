## The command. Linked to the objects of libullage-view, so that it runs from the build tree without a wrapper script whose
## LD_LIBRARY_PATH the programs it runs would inherit.
bin_PROGRAMS += ullage
ullage_SOURCES = tools/main.c tools/command.h tools/command.c tools/cmd_run.c tools/cmd_report.c tools/cmd_ls.c \
	tools/preload.h tools/preload.c
ullage_CPPFLAGS = -I$(top_srcdir)/include -DPKGLIBDIR=\"$(pkglibdir)\"
ullage_LDADD = libull-view.la
