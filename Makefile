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

# --- Targets that install what they need themselves -------------------------

export PG_CONFIG

##@ Try and test
demo: ## start a private server in tmp/demo with the extension and sample data
	@$(TOP)/test/demo/run.sh start

demo-stop: ## stop that server and remove its folder
	@$(TOP)/test/demo/run.sh stop

test: ## build and test in tmp/test; SUITES="regress tap" runs only those
	@$(TOP)/test/run-tests.sh $(SUITES)

bench: ## measure the cost of decisions, reads and new keys
	@$(TOP)/test/workshop/bench/run.sh

# The rest is in test/Makefile.
WORKSHOP := $(shell sed -n 's/^\([a-z_-]*\):.*\#\# .*/\1/p' $(TOP)/test/Makefile)
.PHONY: demo demo-stop test bench help $(WORKSHOP)
$(WORKSHOP):
	@$(MAKE) --no-print-directory -f $(TOP)/test/Makefile $@

help: ## show this list
	@echo 'Build'
	@printf '  %-18s%s\n' all 'build the extension (the default)' \
		install 'install it where $(PG_CONFIG) says' \
		uninstall 'remove the installed files' \
		installcheck 'run the regression tests on a running server that has it' \
		clean 'remove what was built'
	@awk -F ': *## ' '/^\#\#@/ {print "\n" substr($$0, 5)} \
		/^[a-z_-]+: *## / {printf "  %-18s%s\n", $$1, $$2}' $(TOP)/Makefile $(TOP)/test/Makefile
