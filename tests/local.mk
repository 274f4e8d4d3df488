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
UNIT_TESTS = test_alloc test_alloc_misuse test_base test_bench_format test_bench_result test_budget test_buffer test_chain test_clock test_flag test_format test_ledger test_misuse test_neighbours test_pool test_pool_failures test_pool_model test_pools test_procedures test_proxy test_reader test_record_budget test_record_failures test_record_fork test_refuse test_rpc test_sampling test_shards test_span test_stats test_trial test_view test_writer
if WITH_CRITERION
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
endif
unit_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/lib -DTOP_SRCDIR=\"$(abs_top_srcdir)\"
unit_cflags = $(AM_CFLAGS) $(CRITERION_CFLAGS) $(JANSSON_CFLAGS)
write_libs = libull-write.la $(CRITERION_LIBS)
if WITH_CRITERION
if WITH_TIRPC
check_PROGRAMS += test_xdr test_xdr_limits test_xdr_stream
TESTS += test_xdr test_xdr_limits test_xdr_stream
endif
endif
xdr_cflags = $(unit_cflags) $(TIRPC_CFLAGS)
xdr_libs = libull-xdr.la libull-write.la $(CRITERION_LIBS)
test_xdr_SOURCES = tests/unit/test_xdr.c tests/unit/xdr_message.h tests/unit/old_code.h
test_xdr_CPPFLAGS = $(unit_cppflags)
test_xdr_CFLAGS = $(xdr_cflags)
test_xdr_LDADD = $(xdr_libs)
test_xdr_limits_SOURCES = tests/unit/test_xdr_limits.c tests/unit/xdr_message.h tests/unit/old_code.h
test_xdr_limits_CPPFLAGS = $(unit_cppflags)
test_xdr_limits_CFLAGS = $(xdr_cflags)
test_xdr_limits_LDADD = $(xdr_libs)
test_xdr_limits_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=ullage_malloc_at,--wrap=ullage_calloc_at,--wrap=ullage_buffer_get_at,--wrap=ullage_buffer_grow,--wrap=ullage_reader_create
test_xdr_stream_SOURCES = tests/unit/test_xdr_stream.c tests/unit/xdr_message.h tests/unit/old_code.h
test_xdr_stream_CPPFLAGS = $(unit_cppflags)
test_xdr_stream_CFLAGS = $(xdr_cflags)
test_xdr_stream_LDADD = $(xdr_libs)
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
test_clock_SOURCES = tests/unit/test_clock.c tests/lib/marked.h tests/lib/pooled.h tests/lib/scratch.h
test_clock_CPPFLAGS = $(unit_cppflags)
test_clock_CFLAGS = $(unit_cflags)
test_clock_LDADD = $(write_libs)
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
test_neighbours_SOURCES = tests/unit/test_neighbours.c tests/lib/marked.h tests/lib/pooled.h tests/lib/scratch.h
test_neighbours_CPPFLAGS = $(unit_cppflags)
test_neighbours_CFLAGS = $(unit_cflags)
test_neighbours_LDADD = $(write_libs)
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
test_proxy_SOURCES = tests/unit/test_proxy.c tests/lib/marked.h tests/lib/pooled.h tests/lib/scratch.h
test_proxy_CPPFLAGS = $(unit_cppflags)
test_proxy_CFLAGS = $(unit_cflags)
test_proxy_LDADD = $(write_libs)
test_reader_SOURCES = tests/unit/test_reader.c tests/lib/marked.h tests/lib/pooled.h tests/lib/scratch.h
test_reader_CPPFLAGS = $(unit_cppflags)
test_reader_CFLAGS = $(unit_cflags)
test_reader_LDADD = $(write_libs)
test_record_budget_SOURCES = tests/unit/test_record_budget.c tests/lib/marked.h tests/lib/pooled.h tests/lib/scratch.h
test_record_budget_CPPFLAGS = $(unit_cppflags)
test_record_budget_CFLAGS = $(unit_cflags)
test_record_budget_LDADD = $(write_libs)
test_record_failures_SOURCES = tests/unit/test_record_failures.c tests/lib/marked.h tests/lib/pooled.h tests/lib/scratch.h
test_record_failures_CPPFLAGS = $(unit_cppflags)
test_record_failures_CFLAGS = $(unit_cflags)
test_record_failures_LDADD = $(write_libs)
test_record_failures_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=ullage_buffer_get_at -Wl,--wrap=ullage_malloc_at -Wl,--wrap=ullage_calloc_at -Wl,--wrap=ullage_aligned_alloc_at
test_record_fork_SOURCES = tests/unit/test_record_fork.c tests/lib/marked.h tests/lib/pooled.h tests/lib/scratch.h
test_record_fork_CPPFLAGS = $(unit_cppflags)
test_record_fork_CFLAGS = $(unit_cflags)
test_record_fork_LDADD = $(write_libs)
test_refuse_SOURCES = tests/unit/test_refuse.c tests/lib/marked.h tests/lib/pooled.h tests/lib/scratch.h
test_refuse_CPPFLAGS = $(unit_cppflags)
test_refuse_CFLAGS = $(unit_cflags)
test_refuse_LDADD = $(write_libs)
test_rpc_SOURCES = tests/unit/test_rpc.c
test_rpc_CPPFLAGS = $(unit_cppflags)
test_rpc_CFLAGS = $(unit_cflags)
test_rpc_LDADD = $(write_libs)
test_procedures_SOURCES = tests/unit/test_procedures.c tests/lib/counted.h tests/lib/scratch.h
test_procedures_CPPFLAGS = $(unit_cppflags)
test_procedures_CFLAGS = $(unit_cflags)
test_procedures_LDADD = $(view_libs)
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
test_writer_SOURCES = tests/unit/test_writer.c tests/lib/marked.h tests/lib/pooled.h tests/lib/scratch.h
test_writer_CPPFLAGS = $(unit_cppflags)
test_writer_CFLAGS = $(unit_cflags)
test_writer_LDADD = $(write_libs)

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

check_PROGRAMS += race_record
TESTS += race_record
race_record_SOURCES = tests/race/race_record.c tests/race/tap.h tests/lib/scratch.h
race_record_CPPFLAGS = $(unit_cppflags)
race_record_LDADD = libull-write.la

## ---- readers of records, in every build: python3 says what is expected ----
check_PROGRAMS += record_forms
if WITH_BATS
TESTS += tests/cli/records.bats tests/cli/records_forms.bats
endif
record_forms_SOURCES = tests/cli/record_forms.c tests/lib/record_run.h tests/lib/record_run_fd.h tests/lib/record_walk.h
record_forms_CPPFLAGS = $(unit_cppflags)
record_forms_LDADD = libullage.la
record_forms_LDFLAGS = $(AM_LDFLAGS) -no-install

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

## real RPC peers
if WITH_PRELOAD
if WITH_TIRPC
check_PROGRAMS += record_caller record_caller_old rpc_client rpc_tirpc_server
if WITH_BATS
TESTS += tests/cli/records_peers.bats
endif
endif
endif
EXTRA_DIST += tests/cli/records_peers.bats tests/cli/relay.py tests/cli/servers.bash
peer_cflags = $(AM_CFLAGS) $(TIRPC_CFLAGS) -Wno-cast-function-type
record_caller_SOURCES = tests/cli/record_caller.c
record_caller_CPPFLAGS = -I$(top_srcdir)/include
record_caller_CFLAGS = $(peer_cflags)
record_caller_LDADD = libullage-xdr.la libullage.la $(TIRPC_LIBS)
record_caller_LDFLAGS = $(AM_LDFLAGS) -no-install
record_caller_old_SOURCES = tests/cli/record_caller.c
record_caller_old_CPPFLAGS = -DOLD_STREAMS
record_caller_old_CFLAGS = $(peer_cflags)
record_caller_old_LDADD = $(TIRPC_LIBS)
rpc_client_SOURCES = tests/cli/rpc_client.c
rpc_client_CFLAGS = $(peer_cflags)
rpc_client_LDADD = $(TIRPC_LIBS)
rpc_tirpc_server_SOURCES = tests/cli/rpc_tirpc_server.c
rpc_tirpc_server_CFLAGS = $(peer_cflags)
rpc_tirpc_server_LDADD = $(TIRPC_LIBS)
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
noinst_PROGRAMS += fuzz_bench fuzz_ledger fuzz_record
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
fuzz_record_SOURCES = tests/fuzz/fuzz_record.c tests/lib/record_run.h tests/lib/record_walk.h
fuzz_record_CPPFLAGS = $(unit_cppflags)
fuzz_record_LDADD = libull-unrecorded.la
fuzz_record_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
FUZZ_SECONDS = 60
fuzz: fuzz_bench fuzz_ledger fuzz_record
	rm -rf fuzz-corpus fuzz-corpus-bench fuzz-corpus-record && mkdir fuzz-corpus fuzz-corpus-bench fuzz-corpus-record
	$(srcdir)/tests/lib/record-oracle.py --seeds fuzz-corpus-record
	./fuzz_record -max_total_time=$$(($(FUZZ_SECONDS) / 3)) -max_len=20000 -timeout=10 -print_final_stats=1 fuzz-corpus-record
	for seed in $(FUZZ_BENCH_SEEDS); do cp "$$seed" fuzz-corpus-bench/; done
	./fuzz_bench -max_total_time=$$(($(FUZZ_SECONDS) / 3)) -max_len=30000 -timeout=10 -print_final_stats=1 fuzz-corpus-bench
	for seed in $(FUZZ_SEEDS); do cp "$$seed" fuzz-corpus/; done
	./fuzz_ledger -max_total_time=$(FUZZ_SECONDS) -max_len=70000 -timeout=10 -print_final_stats=1 fuzz-corpus

EXTRA_DIST += tests/lib/lsan.supp tests/lib/bats-tap.sh tests/lib/check-includes.sh tests/lib/check-symbols.sh tests/lib/check-docs.sh \
	tests/lib/check-install.sh tests/cli/common.bash tests/cli/accuracy.bats tests/cli/allocators.bats tests/cli/bench.bats tests/cli/bench_formats.bats tests/cli/harm.bats tests/cli/jemalloc.bats \
	tests/cli/death.bats tests/cli/examples.bats tests/cli/hostile.bats tests/cli/profiles.bats tests/cli/jemalloc_double.c tests/cli/peers.bats tests/cli/pools.bats tests/cli/preload.bats tests/cli/soak.bats tests/race/soak.cc \
	tests/cli/records.bats tests/cli/records-check.py tests/cli/records-make.py tests/cli/report.bats tests/cli/run.bats tests/cli/demo.sh tests/cli/forms.cc tests/cli/accuracy-check.py tests/cli/kill-check.py \
	tests/cli/kill-tree.py tests/cli/trees.bats tests/cli/records_forms.bats tests/lib/record-oracle.py
clean-local:
	rm -rf fuzz-corpus fuzz-corpus-bench fuzz-corpus-record asan-report.* gcov
