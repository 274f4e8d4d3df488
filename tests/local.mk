## Tests: Criterion units, plain C where threads race, bats for the command, scripts for the tree itself.
AM_TESTS_ENVIRONMENT = \
	ULLAGE='$(abs_top_builddir)/ullage' PRELOAD='$(abs_top_builddir)/.libs/libullage-preload.so' \
	BUILD='$(abs_top_builddir)' SOURCE='$(abs_top_srcdir)' BATS='$(BATS)' CC='$(CC)' MAKE='$(MAKE)' \
	CRITERION_OUTPUTS=tap:- ASAN_OPTIONS=log_path=$(abs_top_builddir)/asan-report \
	LSAN_OPTIONS=suppressions=$(abs_top_srcdir)/tests/lib/lsan.supp:print_suppressions=0 \
	UBSAN_OPTIONS=print_stacktrace=1; \
	export ULLAGE PRELOAD BUILD SOURCE BATS CC MAKE CRITERION_OUTPUTS ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS;
TEST_EXTENSIONS = .bats .sh
TEST_LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
SH_LOG_DRIVER = $(TEST_LOG_DRIVER)
BATS_LOG_DRIVER = $(TEST_LOG_DRIVER)
BATS_LOG_COMPILER = $(top_srcdir)/tests/lib/bats-tap.sh

## ---- units ----
UNIT_TESTS = test_alloc test_alloc_misuse test_base test_bench_format test_bench_result test_budget test_buffer test_chain test_flag test_format test_ledger test_misuse test_pool test_pool_failures test_pool_model test_pools test_sampling test_shards test_span test_stats test_trial test_view
if WITH_CRITERION
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
endif
unit_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/lib -DTOP_SRCDIR=\"$(abs_top_srcdir)\"
unit_cflags = $(AM_CFLAGS) $(CRITERION_CFLAGS) $(JANSSON_CFLAGS)
write_libs = libull-write.la $(CRITERION_LIBS)
view_libs = libull-view.la libull-write.la $(JANSSON_LIBS) $(CRITERION_LIBS)
test_alloc_SOURCES = tests/unit/test_alloc.c tests/lib/pooled.h tests/lib/scratch.h
test_alloc_CPPFLAGS = $(unit_cppflags)
test_alloc_CFLAGS = $(unit_cflags)
test_alloc_LDADD = $(write_libs)
test_alloc_misuse_SOURCES = tests/unit/test_alloc_misuse.c tests/lib/pooled.h tests/lib/scratch.h
test_alloc_misuse_CPPFLAGS = $(unit_cppflags)
test_alloc_misuse_CFLAGS = $(unit_cflags)
test_alloc_misuse_LDADD = $(write_libs)
test_base_SOURCES = tests/unit/test_base.c
test_base_CPPFLAGS = $(unit_cppflags)
test_base_CFLAGS = $(unit_cflags)
test_base_LDADD = $(write_libs)
test_bench_format_SOURCES = tests/unit/test_bench_format.c tests/lib/difficult.h tests/lib/report.h
test_bench_format_CPPFLAGS = $(unit_cppflags)
test_bench_format_CFLAGS = $(unit_cflags)
test_bench_format_LDADD = libull-bench.la $(JANSSON_LIBS) $(CRITERION_LIBS) -lm
test_bench_result_SOURCES = tests/unit/test_bench_result.c tests/lib/report.h
test_bench_result_CPPFLAGS = $(unit_cppflags)
test_bench_result_CFLAGS = $(unit_cflags)
test_bench_result_LDADD = libull-bench.la $(CRITERION_LIBS) -lm
test_budget_SOURCES = tests/unit/test_budget.c tests/lib/scratch.h
test_budget_CPPFLAGS = $(unit_cppflags)
test_budget_CFLAGS = $(unit_cflags)
test_budget_LDADD = $(write_libs)
test_buffer_SOURCES = tests/unit/test_buffer.c tests/lib/pooled.h tests/lib/scratch.h
test_buffer_CPPFLAGS = $(unit_cppflags)
test_buffer_CFLAGS = $(unit_cflags)
test_buffer_LDADD = $(write_libs)
test_chain_SOURCES = tests/unit/test_chain.c tests/lib/scratch.h
test_chain_CPPFLAGS = $(unit_cppflags)
test_chain_CFLAGS = $(unit_cflags)
test_chain_LDADD = $(write_libs)
test_flag_SOURCES = tests/unit/test_flag.c
test_flag_CPPFLAGS = $(unit_cppflags)
test_flag_CFLAGS = $(unit_cflags)
test_flag_LDADD = $(view_libs)
test_format_SOURCES = tests/unit/test_format.c
test_format_CPPFLAGS = $(unit_cppflags)
test_format_CFLAGS = $(unit_cflags)
test_format_LDADD = $(write_libs)
test_ledger_SOURCES = tests/unit/test_ledger.c tests/lib/scratch.h
test_ledger_CPPFLAGS = $(unit_cppflags)
test_ledger_CFLAGS = $(unit_cflags)
test_ledger_LDADD = $(write_libs)
test_misuse_SOURCES = tests/unit/test_misuse.c
test_misuse_CPPFLAGS = $(unit_cppflags)
test_misuse_CFLAGS = $(unit_cflags)
test_misuse_LDADD = $(write_libs)
test_pool_SOURCES = tests/unit/test_pool.c tests/lib/pooled.h tests/lib/scratch.h
test_pool_CPPFLAGS = $(unit_cppflags)
test_pool_CFLAGS = $(unit_cflags)
test_pool_LDADD = $(write_libs)
test_pool_failures_SOURCES = tests/unit/test_pool_failures.c tests/lib/pooled.h tests/lib/scratch.h
test_pool_failures_CPPFLAGS = $(unit_cppflags)
test_pool_failures_CFLAGS = $(unit_cflags)
test_pool_failures_LDADD = $(write_libs)
test_pool_model_SOURCES = tests/unit/test_pool_model.c tests/lib/pooled.h tests/lib/scratch.h
test_pool_model_CPPFLAGS = $(unit_cppflags)
test_pool_model_CFLAGS = $(unit_cflags)
test_pool_model_LDADD = $(write_libs)
test_pools_SOURCES = tests/unit/test_pools.c tests/lib/counted.h tests/lib/scratch.h
test_pools_CPPFLAGS = $(unit_cppflags)
test_pools_CFLAGS = $(unit_cflags)
test_pools_LDADD = $(view_libs)
test_sampling_SOURCES = tests/unit/test_sampling.c
test_sampling_CPPFLAGS = $(unit_cppflags)
test_sampling_CFLAGS = $(unit_cflags)
test_sampling_LDADD = $(write_libs) -lm
test_shards_SOURCES = tests/unit/test_shards.c tests/lib/counted.h tests/lib/scratch.h
test_shards_CPPFLAGS = $(unit_cppflags)
test_shards_CFLAGS = $(unit_cflags)
test_shards_LDADD = $(view_libs)
test_span_SOURCES = tests/unit/test_span.c
test_span_CPPFLAGS = $(unit_cppflags)
test_span_CFLAGS = $(unit_cflags)
test_span_LDADD = $(write_libs)
test_stats_SOURCES = tests/unit/test_stats.c tools/bench/stats.h tools/bench/stats.c
test_stats_CPPFLAGS = $(unit_cppflags) -I$(top_srcdir)/tools
test_stats_CFLAGS = $(unit_cflags)
test_stats_LDADD = $(CRITERION_LIBS) -lm
test_trial_SOURCES = tests/unit/test_trial.c tools/bench/stats.h tools/bench/stats.c tools/bench/trial.h tools/bench/trial.c
test_trial_CPPFLAGS = $(unit_cppflags) -I$(top_srcdir)/tools
test_trial_CFLAGS = $(unit_cflags)
test_trial_LDADD = $(CRITERION_LIBS) -lm
test_view_SOURCES = tests/unit/test_view.c tests/lib/scratch.h
test_view_CPPFLAGS = $(unit_cppflags)
test_view_CFLAGS = $(unit_cflags)
test_view_LDADD = $(view_libs)

## ---- races: also under ThreadSanitizer ----
check_PROGRAMS += race_budget
TESTS += race_budget
race_budget_SOURCES = tests/race/race_budget.c tests/race/tap.h tests/lib/scratch.h
race_budget_CPPFLAGS = $(unit_cppflags)
race_budget_LDADD = libull-write.la

check_PROGRAMS += race_fork
TESTS += race_fork
race_fork_SOURCES = tests/race/race_fork.c tests/race/tap.h tests/lib/pooled.h tests/lib/scratch.h
race_fork_CPPFLAGS = $(unit_cppflags)
race_fork_LDADD = libull-write.la

check_PROGRAMS += race_ledger
TESTS += race_ledger
race_ledger_SOURCES = tests/race/race_ledger.c tests/race/tap.h tests/lib/scratch.h
race_ledger_CPPFLAGS = $(unit_cppflags)
race_ledger_LDADD = libull-view.la libull-write.la

check_PROGRAMS += race_pool
TESTS += race_pool
race_pool_SOURCES = tests/race/race_pool.c tests/race/tap.h tests/lib/pooled.h tests/lib/scratch.h
race_pool_CPPFLAGS = $(unit_cppflags)
race_pool_LDADD = libull-write.la

check_PROGRAMS += race_profile
TESTS += race_profile
race_profile_SOURCES = tests/race/race_profile.c tests/race/tap.h tests/lib/scratch.h
race_profile_CPPFLAGS = $(unit_cppflags)
race_profile_LDADD = libull-write.la

## ---- the command, and the programs that it looks into ----
if WITH_PRELOAD
check_PROGRAMS += race_preload churn accuracy calls plugins bench_patterns bench_subject bench_subject_slow bench_threads pairs write_formats
check_PROGRAMS += pool_plugins
check_LTLIBRARIES += plugin_a.la plugin_b.la plugin_pool_a.la plugin_pool_b.la
TESTS += pool_plugins
if WITH_BATS
TESTS += tests/cli/accuracy.bats tests/cli/allocators.bats tests/cli/bench.bats tests/cli/bench_formats.bats tests/cli/death.bats tests/cli/examples.bats tests/cli/harm.bats \
	tests/cli/hostile.bats tests/cli/jemalloc.bats tests/cli/peers.bats tests/cli/pools.bats tests/cli/profiles.bats \
	tests/cli/preload.bats tests/cli/report.bats tests/cli/run.bats tests/cli/soak.bats tests/cli/trees.bats
endif
TESTS += tests/cli/demo.sh tests/lib/check-install.sh
endif
race_preload_SOURCES = tests/race/race_preload.c
pairs_SOURCES = tests/cli/pairs.c
bench_program_cflags = $(AM_CFLAGS) -g -O2 -fno-builtin
bench_patterns_SOURCES = tests/cli/bench_patterns.c
bench_patterns_CPPFLAGS = -I$(top_srcdir)/include
bench_patterns_CFLAGS = $(bench_program_cflags)
bench_patterns_LDADD = libullage-bench.la
bench_patterns_LDFLAGS = $(bench_ldflags)
bench_subject_SOURCES = tests/cli/bench_subject.c
bench_subject_CPPFLAGS = -I$(top_srcdir)/include
bench_subject_CFLAGS = $(bench_program_cflags)
bench_subject_LDADD = libullage-bench.la
bench_subject_LDFLAGS = $(bench_ldflags)
bench_subject_slow_SOURCES = tests/cli/bench_subject.c
bench_subject_slow_CPPFLAGS = -I$(top_srcdir)/include -DPLANT_MORE_TIME
bench_subject_slow_CFLAGS = $(bench_program_cflags)
bench_subject_slow_LDADD = libullage-bench.la
bench_subject_slow_LDFLAGS = $(bench_ldflags)
bench_threads_SOURCES = tests/cli/bench_threads.c
bench_threads_CFLAGS = $(bench_program_cflags)
write_formats_SOURCES = tests/cli/write_formats.c
write_formats_CPPFLAGS = -I$(top_srcdir)/include
write_formats_LDADD = libullage-bench.la
write_formats_LDFLAGS = $(bench_ldflags)
churn_SOURCES = tests/cli/churn.c
churn_CFLAGS = $(AM_CFLAGS) -g
accuracy_SOURCES = tests/cli/accuracy.c
accuracy_CFLAGS = $(AM_CFLAGS) -g
calls_SOURCES = tests/cli/calls.c
calls_CFLAGS = $(AM_CFLAGS) -fno-builtin -Wno-alloc-size-larger-than
plugins_SOURCES = tests/cli/plugins.c
plugin_a_la_SOURCES = tests/cli/plugin.c
plugin_a_la_CFLAGS = $(AM_CFLAGS) -g -fvisibility=default -O1
plugin_a_la_LDFLAGS = -module -avoid-version -shared -rpath /nowhere
plugin_b_la_SOURCES = tests/cli/plugin.c
plugin_b_la_CFLAGS = $(AM_CFLAGS) -g -fvisibility=default -O1 -DPLUGIN_B
plugin_b_la_LDFLAGS = -module -avoid-version -shared -rpath /nowhere

pool_plugins_SOURCES = tests/cli/pool_plugins.c tests/race/tap.h
pool_plugins_CPPFLAGS = -I$(top_srcdir)/include
pool_plugins_LDADD = libullage.la
plugin_pool_a_la_SOURCES = tests/cli/plugin_pool.c
plugin_pool_a_la_CPPFLAGS = -I$(top_srcdir)/include
plugin_pool_a_la_CFLAGS = $(AM_CFLAGS) -g -fvisibility=default -O1
plugin_pool_a_la_LDFLAGS = -module -avoid-version -shared -rpath /nowhere
plugin_pool_b_la_SOURCES = tests/cli/plugin_pool.c
plugin_pool_b_la_CPPFLAGS = -I$(top_srcdir)/include
plugin_pool_b_la_CFLAGS = $(AM_CFLAGS) -g -fvisibility=default -O1 -DPLUGIN_B
plugin_pool_b_la_LDFLAGS = -module -avoid-version -shared -rpath /nowhere

## Ten minutes of threads, throws, forks and libraries that come and go, and one of buffers that threads exchange; make check takes one, and seconds.
soak: race_pool ullage libullage-preload.la libullage.la plugin_a.la plugin_b.la
	$(AM_TESTS_ENVIRONMENT) SOAK_SECONDS=600 $(BATS) $(srcdir)/tests/cli/soak.bats
	$(AM_TESTS_ENVIRONMENT) SECONDS_OF_EXCHANGE=60 ./race_pool
.PHONY: soak

## ---- the tree itself ----
TESTS += tests/lib/check-includes.sh tests/lib/check-symbols.sh tests/lib/check-docs.sh

## ---- fuzzing: make fuzz FUZZ_SECONDS=60 ----
if WITH_FUZZ
noinst_PROGRAMS += fuzz_bench fuzz_ledger
endif
fuzz_bench_SOURCES = tests/fuzz/fuzz_bench.c tools/bench/bench.h tools/bench/baseline.c tools/bench/findings.c tools/bench/read.c
fuzz_bench_CPPFLAGS = $(unit_cppflags) -I$(top_srcdir)/tools
fuzz_bench_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
fuzz_bench_LDADD = libull-bench.la $(JANSSON_LIBS) -lm
fuzz_bench_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
fuzz_ledger_SOURCES = tests/fuzz/fuzz_ledger.c
fuzz_ledger_CPPFLAGS = $(unit_cppflags)
fuzz_ledger_LDADD = libull-view.la
fuzz_ledger_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
FUZZ_SECONDS = 60
fuzz: fuzz_bench fuzz_ledger
	rm -rf fuzz-corpus fuzz-corpus-bench && mkdir fuzz-corpus fuzz-corpus-bench
	for seed in $(FUZZ_BENCH_SEEDS); do cp "$$seed" fuzz-corpus-bench/; done
	./fuzz_bench -max_total_time=$$(($(FUZZ_SECONDS) / 3)) -max_len=30000 -timeout=10 -print_final_stats=1 fuzz-corpus-bench
	for seed in $(FUZZ_SEEDS); do cp "$$seed" fuzz-corpus/; done
	./fuzz_ledger -max_total_time=$(FUZZ_SECONDS) -max_len=70000 -timeout=10 -print_final_stats=1 fuzz-corpus

EXTRA_DIST += tests/lib/lsan.supp tests/lib/bats-tap.sh tests/lib/check-includes.sh tests/lib/check-symbols.sh tests/lib/check-docs.sh \
	tests/lib/check-install.sh tests/cli/common.bash tests/cli/accuracy.bats tests/cli/allocators.bats tests/cli/bench.bats tests/cli/bench_formats.bats tests/cli/harm.bats tests/cli/jemalloc.bats \
	tests/cli/death.bats tests/cli/examples.bats tests/cli/hostile.bats tests/cli/profiles.bats tests/cli/jemalloc_double.c tests/cli/peers.bats tests/cli/pools.bats tests/cli/preload.bats tests/cli/soak.bats tests/race/soak.cc \
	tests/cli/report.bats tests/cli/run.bats tests/cli/demo.sh tests/cli/forms.cc tests/cli/accuracy-check.py tests/cli/kill-check.py \
	tests/cli/kill-tree.py tests/cli/trees.bats
clean-local:
	rm -rf fuzz-corpus fuzz-corpus-bench asan-report.* gcov
