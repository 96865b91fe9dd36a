# apikeys: API keys in PostgreSQL 15 to 18.  "make help" lists the targets.
#
#   PG_CONFIG=/path/to/pg_config   the server to build for
#   WERROR=1                       warnings are errors
#   with_llvm=no                   leave out the bitcode for the JIT compiler
#
# "make -f /elsewhere/Makefile" builds in the current folder.

# Where the sources are.
TOP := $(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST))))
ifneq ($(TOP),.)
# PGXS makes no folders; made by a rule, they would appear under make's feet.
$(shell mkdir -p $(patsubst $(TOP)/%/,%,$(wildcard $(TOP)/src/*/)) sql)
endif

# --- What is built and installed -------------------------------------------

MODULE_big = apikeys
OBJS = $(patsubst $(TOP)/%.c,%.o,$(sort $(wildcard $(TOP)/src/*.c $(TOP)/src/*/*.c)))

EXTENSION = apikeys
# The version stands in the control file only.
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(TOP)/apikeys.control)
SQL_PARTS := $(sort $(wildcard $(TOP)/sql/parts/*.sql))
SQL_SCRIPT = sql/apikeys--$(EXTVERSION).sql
DATA_built = $(SQL_SCRIPT)
# Scripts from one version to the next.
DATA = $(patsubst $(TOP)/%,%,$(wildcard $(TOP)/sql/apikeys--*--*.sql))

# --- How it is compiled and linked -----------------------------------------

PKG_CONFIG ?= pkg-config
PG_CPPFLAGS = -I$(TOP)/src -I$(libpq_srcdir) $(shell $(PKG_CONFIG) --cflags libsodium 2>/dev/null)
SHLIB_LINK = $(shell $(PKG_CONFIG) --libs libsodium 2>/dev/null || echo -lsodium) $(libpq)

# The second line: what PostgreSQL's own headers and idioms need.
PG_CFLAGS = -Wall -Wextra -Wmissing-prototypes \
	-Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
ifdef WERROR
PG_CFLAGS += -Werror
endif

# --- Tests against an installed server (make installcheck) -----------------

REGRESS = $(sort $(basename $(notdir $(wildcard $(TOP)/test/sql/*.sql))))
REGRESS_OPTS = --inputdir=$(TOP)/test
ISOLATION = $(sort $(basename $(notdir $(wildcard $(TOP)/test/isolation/specs/*.spec))))
ISOLATION_OPTS = --inputdir=$(TOP)/test/isolation
EXTRA_CLEAN = test/unit/build test/fuzz/build

# --- The server's build system ---------------------------------------------

PG_CONFIG ?= pg_config
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))
PG_HEADER := $(wildcard $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)/postgres.h)
PG_MAJOR := $(shell $(PG_CONFIG) --version 2>/dev/null | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
SUPPORTED_MAJORS = 15 16 17 18

.DEFAULT_GOAL := all

ifneq ($(filter-out $(SUPPORTED_MAJORS),$(PG_MAJOR)),)
PROBLEM = PostgreSQL $(PG_MAJOR) is not supported, only $(SUPPORTED_MAJORS) are: \
	choose another server with PG_CONFIG=/path/to/pg_config
else ifeq ($(and $(PGXS),$(PG_HEADER)),)
PROBLEM = $(PG_CONFIG) knows of no PostgreSQL server headers: install \
	postgresql-server-dev-$(or $(PG_MAJOR),15) (Debian, Ubuntu) or \
	postgresql$(or $(PG_MAJOR),15)-devel (Fedora, RHEL), or say PG_CONFIG=/path/to/pg_config
endif

ifdef PROBLEM

.PHONY: all install uninstall installcheck clean
all install uninstall installcheck:
	$(error $(PROBLEM))
clean:
	rm -rf $(OBJS) $(OBJS:.o=.bc) apikeys.so $(SQL_SCRIPT) $(EXTRA_CLEAN) \
		results regression.diffs regression.out output_iso tmp_check log

else

# Before 16, isolation tests look for expected/ beside specs/ by themselves.
ifneq ($(PG_MAJOR),15)
ISOLATION_OPTS += --expecteddir=$(TOP)/test/isolation
endif

include $(PGXS)

ifneq ($(TOP),.)
# pg_regress looks for outputs in the current folder.
installcheck: | $(CURDIR)/expected
$(CURDIR)/expected:
	ln -s $(abspath $(TOP)/expected) $@
EXTRA_CLEAN += expected
endif

# Nothing but what the server looks up is exported (16 and later do it with
# -fvisibility=hidden, for which 15's headers are not ready).
ifeq ($(with_gnu_ld),yes)
SHLIB_LINK += -Wl,--version-script=$(TOP)/src/apikeys.map
$(shlib): $(TOP)/src/apikeys.map
endif

# PGXS tracks no headers.
$(OBJS) $(OBJS:.o=.bc): $(wildcard $(TOP)/src/*/*.h) $(TOP)/Makefile

endif

# The folder is named too, so that a part taken away counts as a change.
$(SQL_SCRIPT): $(SQL_PARTS) $(TOP)/sql/parts $(TOP)/apikeys.control
	cat $(SQL_PARTS) > $@

.DELETE_ON_ERROR:

# --- What installs what it needs by itself ---------------------------------

.PHONY: demo demo-stop console console-stop console-check test matrix upgrade coverage sanitize fuzz \
	lint model crash failover load soak bench dist dist-check deb deb-check help
export PG_CONFIG

demo:       ## start a private server in tmp/demo with the extension and data to play with
	@$(TOP)/test/demo.sh start

demo-stop:  ## end that server and remove its folder
	@$(TOP)/test/demo.sh stop

console:    ## start that server and a web console for its keys, on loopback; prints who can sign in
	@$(TOP)/test/console.sh start

console-stop: ## end both and remove their folder
	@$(TOP)/test/console.sh stop

console-check: ## walk through the console with a real browser; pictures in tmp/console
	@TEST_NAME=console-check $(TOP)/test/run-tests.sh console browser

test:       ## build and test in tmp/test; SUITES="regress tap" runs only those
	@$(TOP)/test/run-tests.sh $(SUITES)

upgrade:    ## pg_upgrade with live keys from 15 to 17, in a chroot; as root
	@$(TOP)/test/upgrade/run.sh

lint:       ## only what a reader should not have to look for: clang-tidy, scan-build, shellcheck, layers
	@$(TOP)/test/run-tests.sh lint plpgsql

matrix:     ## test on PostgreSQL 15, 17 and 18, in chroots made for it (as root, on Debian)
	@$(TOP)/test/matrix.sh

coverage:   ## test, and show which lines of C no test reaches
	@$(TOP)/test/coverage.sh

sanitize:   ## test on a server with sanitizers and assertions, and under valgrind
	@$(TOP)/test/sanitize.sh

fuzz:       ## feed the parsers for FUZZ_SECONDS each, two at a time (150: ten minutes)
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-150} TEST_NAME=fuzz $(TOP)/test/run-tests.sh fuzz

model:      ## 50,000 random verbs and 2,000 pairs of them, held against a model of the rules
	@MODEL_STEPS=$${MODEL_STEPS:-50000} MODEL_PAIRS=$${MODEL_PAIRS:-2000} \
		TEST_NAME=model $(TOP)/test/run-tests.sh model

soak:       ## use and manage keys at full speed for ten minutes: no process grows, all is counted
	@$(TOP)/test/soak/run.sh

bench:      ## measure the cost of decisions, of new keys and of reading, and what should hold
	@$(TOP)/test/install-deps.sh bench
	@$(TOP)/test/bench/run.sh

dist:       ## tmp/dist/apikeys-VERSION.zip for PGXN, of what is committed
	@$(TOP)/test/package/make-dist.sh

dist-check: ## build, install and clean what "make dist" made, in several ways
	@$(TOP)/test/package/try-dist.sh

deb:        ## Debian packages in tmp/deb, tested as they are built
	@$(TOP)/test/package/build-deb.sh

deb-check:  ## try the package of "make deb" in a bare Debian, as root
	@$(TOP)/test/package/try-deb.sh

crash:      ## kill a server under load again and again: nothing acknowledged is lost
	@$(TOP)/test/traffic/run.sh crash

failover:   ## kill the leader of a cluster (Patroni, etcd, haproxy) under load
	@$(TOP)/test/traffic/run.sh failover

load:       ## 1,000 connections through a pooler, 100,000 keys: every use is counted once
	@$(TOP)/test/traffic/run.sh load

help:       ## this list
	@echo 'all          build the extension (the default)'
	@echo 'install      put it where $(PG_CONFIG) says'
	@echo 'installcheck run the regression tests against a running server that has it'
	@echo 'clean        remove what was built'
	@sed -n 's/^\([a-z-]*\): *## /\1 /p' $(TOP)/Makefile | awk '{n = $$1; $$1 = ""; printf "%-12s%s\n", n, $$0}'
