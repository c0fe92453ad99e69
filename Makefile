# The one front door. `make help` lists what there is.

CARGO      ?= cargo
RUSTC      ?= rustc
# Handed to every cargo call; CI says --locked.
CARGOFLAGS ?=
PREFIX     ?= /usr/local
DESTDIR    ?=

# How long each target is fuzzed, and which.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= provider spool recovery cursor config protocol

# What ships, and what writes its manual, built without what only tests ask of the dependencies.
SHIPPED := $(addprefix --package ,steroidsd steroidsctl steroids-gateway steroids-package) --bins
SHIM    := --package steroids-shim --bin steroids-shim

# There is a shim for each agent, for as long as that runs: with the parts of glibc it needs in it, it is
# smaller and starts sooner. Only names of hosts and users want a shared glibc, and it looks up none.
# Where no static one is installed (libc.a), it is linked as the others are.
STATIC = $(shell echo 'int main(void) { return 0; }' | $(CC) -static-pie -x c -o /dev/null - 2>/dev/null && \
	echo -C target-feature=+crt-static)

# What of the programs runs how often, as `make profile` has counted it: what runs is laid out together, and what
# does not is out of its way. A compiler that cannot read it, or has anything to say to it, builds without.
PROFILE  := $(CURDIR)/tests/bench/release.profdata
PROFILED  = $(shell d=$$(mktemp -d) && said=$$(echo 'fn main() {}' | \
	$(RUSTC) -C 'profile-use=$(PROFILE)' --emit=obj --out-dir "$$d" - 2>&1) && [ -z "$$said" ] && echo yes; rm -rf "$$d")
# A function that has changed since is built without its counts, and that is no warning.
RELEASE   = --release $(if $(PROFILED),--config \
	'build.rustflags=["-Cprofile-use=$(PROFILE)"$(comma) "-Cllvm-args=-no-pgo-warn-mismatch"]')
comma    := ,

# Of rustup's component llvm-tools; and what counts, below which programs are built that do.
PROFDATA = $(shell $(RUSTC) --print target-libdir)/../bin/llvm-profdata
COUNTED := $(CURDIR)/target/profile
COUNTING = --release --target-dir '$(COUNTED)' --config "build.rustflags=['-Cprofile-generate=$(COUNTED)/counts']"

# Rows and options of `make bench`; all rows without.
BENCH ?=

# For `make dist`: another target of rustup's, whose programs run here.
HOST    = $(shell $(CARGO) -vV | sed -n 's/^host: //p')
TARGET ?= $(HOST)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## try it: a demo project, one replayed agent run and one command, followed on this terminal
	@tests/demo/run.sh

.PHONY: build
build: ## release binaries in target/release
	@$(if $(PROFILED),,echo "build: not laid out by what runs, as $(RUSTC) does not take tests/bench/release.profdata")
	$(CARGO) build $(CARGOFLAGS) $(RELEASE) $(SHIPPED)
	$(CARGO) rustc $(CARGOFLAGS) $(RELEASE) $(SHIM) -- $(STATIC)

# The counts are of this compiler and these sources; where a function has changed, they are of no use for it
# until they are taken again.
.PHONY: profile
profile: ## count what runs how often, for `make build`; wants rustup's llvm-tools
	@test -x "$(PROFDATA)" || { echo "profile: rustup component add llvm-tools"; exit 1; }
	@test -z "$$RUSTFLAGS$$CARGO_ENCODED_RUSTFLAGS" || { echo "profile: unset RUSTFLAGS, which would take the place of ours"; exit 1; }
	$(CARGO) build $(CARGOFLAGS) $(COUNTING) $(SHIPPED)
	$(CARGO) build $(CARGOFLAGS) $(COUNTING) $(SHIM)
	$(CARGO) build $(CARGOFLAGS) --release --package steroids-tests --bin bench --bin fake-provider
	cp target/release/bench target/release/fake-provider '$(COUNTED)/release/'
	@# What ran to build them has counted, too.
	rm -rf '$(COUNTED)/counts'
	STEROIDS_TESTS_BUILT=1 '$(COUNTED)/release/bench' @train
	"$(PROFDATA)" merge --sparse -o '$(PROFILE)' '$(COUNTED)'/counts/*.profraw

# Most of what a test does is to wait: for processes, disks, a browser. With one thread for each of two
# cores these have nothing to do for half of the time.
TEST_THREADS = $(or $(RUST_TEST_THREADS),$(shell n=$$(nproc 2>/dev/null || echo 1); echo $$((n < 4 ? 4 : n))))

# Everything is built in one go, with one set of features: the end-to-end cases start the daemon,
# the shim and the client, which cargo does not build for another package's tests.
.PHONY: test
test: ## unit, property, snapshot and end-to-end tests; those of the page want a Chromium, those of the units a systemd
	@tests/chromium.sh
	@tests/systemd.sh
	@tests/docs.sh
	$(CARGO) build $(CARGOFLAGS) --workspace --all-targets
	CARGO='$(CARGO)' STEROIDS_TESTS_BUILT=1 RUST_TEST_THREADS=$(TEST_THREADS) tests/suite.sh $(CARGOFLAGS)

# The cases of `make test`, in their long forms. The table is printed also when one fails.
.PHONY: test-faults
test-faults: ## the fault suite in full (about an hour), then the table of what held
	@tests/chromium.sh
	@tests/systemd.sh
	@tests/docs.sh
	$(CARGO) build $(CARGOFLAGS) --workspace --all-targets
	STEROIDS_TESTS_BUILT=1 $(CARGO) run $(CARGOFLAGS) --quiet --package steroids-tests --bin faults forget
	@status=0; \
	STEROIDS_TESTS_BUILT=1 STEROIDS_TEST_LONG=1 $(CARGO) test $(CARGOFLAGS) --package steroids-tests --test cases || status=1; \
	STEROIDS_TESTS_BUILT=1 $(CARGO) run $(CARGOFLAGS) --quiet --package steroids-tests --bin faults || status=1; exit $$status

# Without a sanitizer: nothing of ours that is fuzzed is unsafe, and so it gets further.
.PHONY: fuzz
fuzz: ## foreign bytes to whatever reads them, FUZZ_SECONDS (60) for each target; wants a nightly Rust
	@$(CARGO) +nightly fuzz --version >/dev/null 2>&1 || { \
		echo "fuzz: a nightly toolchain and cargo-fuzz are wanted:"; \
		echo "  rustup toolchain install nightly --profile minimal"; \
		echo "  cargo install --locked cargo-fuzz"; \
		exit 1; \
	}
	$(CARGO) run $(CARGOFLAGS) --quiet --package steroids-tests --bin seeds -- tests/fuzz/corpus
	@set -e; for target in $(FUZZ_TARGETS); do \
		$(CARGO) +nightly fuzz run --fuzz-dir tests/fuzz --sanitizer none $$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=8192 -rss_limit_mb=2048 -print_final_stats=1; \
	done

.PHONY: lint
lint: ## format, clippy, rustdoc, dependencies, scripts; warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path tests/fuzz/Cargo.toml --check
	$(CARGO) clippy $(CARGOFLAGS) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(CARGOFLAGS) --workspace --no-deps
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny check bans licenses sources && \
		if $(CARGO) deny fetch db >/dev/null 2>&1; then \
			$(CARGO) deny check advisories; \
		else \
			echo "lint: the advisory database cannot be fetched; advisories were NOT checked"; \
		fi; \
	else \
		echo "lint: cargo-deny is not installed; dependencies were NOT checked"; \
	fi
	@if command -v shellcheck >/dev/null; then \
		shellcheck .ci/run tests/chromium.sh tests/docs.sh tests/suite.sh tests/systemd.sh tests/systemd-lab.sh tests/demo/run.sh && \
		shellcheck tests/package/*.sh $(addprefix tests/package/debian/,managers.sh postinst prerm postrm); \
	else \
		echo "lint: shellcheck is not installed; scripts were NOT checked"; \
	fi
	@$(LINTIAN)

# BENCH is handed to it: `make bench BENCH="a c --json figures.json"`; `BENCH=names` lists what there is.
.PHONY: bench
bench: build ## measure latency, fan-out, replay, ingest and memory with release binaries; docs/benchmarks.md
	$(CARGO) build $(CARGOFLAGS) --release --package steroids-tests --bin bench --bin fake-provider
	@tests/chromium.sh
	STEROIDS_TESTS_BUILT=1 $(CARGO) run $(CARGOFLAGS) --quiet --release --package steroids-tests --bin bench -- $(BENCH)

# Times are noisy where other things run; instructions are not.
.PHONY: bench-check
bench-check: ## compare instructions per line of parsers and projection with those on file; wants valgrind
	$(CARGO) build $(CARGOFLAGS) --release --package steroids-tests --bin instructions
	STEROIDS_TESTS_BUILT=1 $(CARGO) run $(CARGOFLAGS) --quiet --release --package steroids-tests --bin instructions

.PHONY: bench-bless
bench-bless: ## take the instruction counts as they are now
	$(CARGO) build $(CARGOFLAGS) --release --package steroids-tests --bin instructions
	STEROIDS_TESTS_BUILT=1 $(CARGO) run $(CARGOFLAGS) --quiet --release --package steroids-tests --bin instructions -- --bless

# Root often has no cargo: `make build && sudo make install` then installs what is built.
.PHONY: install
install: ## programs, units, manual, completions and docs, below $(DESTDIR)$(PREFIX)
	@if command -v $(CARGO) >/dev/null; then $(MAKE) --no-print-directory build; fi
	DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" tests/package/stage.sh install target/release

.PHONY: uninstall
uninstall: ## take away what install has put there
	DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" tests/package/stage.sh uninstall

# Of what stands there; it looks at built packages alone.
LINTIAN = if ! command -v lintian >/dev/null; then \
		echo "lintian is not installed; the package was NOT checked"; \
	elif ls target/package/*.deb >/dev/null 2>&1; then \
		lintian --fail-on error,warning target/package/*.deb; \
	fi

.PHONY: deb
deb: build ## a Debian package, in target/package
	@tests/package/deb.sh target/release target/package
	@$(LINTIAN)

.PHONY: dist
dist: ## a tarball for TARGET and its checksum, in target/package
ifeq ($(TARGET),$(HOST))
	@$(MAKE) --no-print-directory build
	@tests/package/dist.sh target/release target/package $(TARGET)
else
	@# The counts are of crates as they are built for this machine.
	$(CARGO) build $(CARGOFLAGS) --release --target $(TARGET) $(SHIPPED)
	$(CARGO) build $(CARGOFLAGS) --release --target $(TARGET) $(SHIM)
	@tests/package/dist.sh target/$(TARGET)/release target/package $(TARGET)
endif

.PHONY: clean
clean: ## remove everything that was built
	$(CARGO) clean
