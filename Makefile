# All that CI runs: `make test`. Each part can be run alone.

CARGO ?= cargo
CHECKED := --workspace --all-targets

.PHONY: test check tools unit web browser licences wasm fuzz bench lab-quick lab-full

test: tools check unit web browser licences

# What the tests need beside Rust and Node: Debian's chromium, ffmpeg, firefox-esr, prometheus and aiosmtpd.
tools:
	.ci/tools

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(CHECKED) --locked -- -D warnings

unit:
	PEERSTREAM_REQUIRE_TOOLS=1 CARGO=$(CARGO) node .ci/unit.mjs

web:
	cd hosts/web && npm ci --no-audit --no-fund && npm test

# The real host, real Chromium pages. A browser that hangs ends as a failure, not as silence. The host is built as `unit` builds it:
# alone it would have other features, and so would a hundred of its dependencies.
browser:
	$(CARGO) test --workspace --test cli --no-run --locked
	cd hosts/web && PEERSTREAM_REQUIRE_TOOLS=1 timeout --kill-after=10 20m npm run test:browser

licences:
	.ci/licences

# Rebuilds the browser client; needs a wasm32 standard library (see CONTRIBUTING.md).
wasm:
	cd hosts/web && npm ci --no-audit --no-fund && npm run build

# All decoders with libFuzzer, SECONDS each; `framework/fuzz/run SECONDS TARGET` for one. Not part of `make test`.
SECONDS := 60
fuzz:
	framework/fuzz/run $(SECONDS)

bench:
	$(CARGO) bench -p peerstream-node --bench engine
	$(CARGO) bench -p peerstream-registry --bench check
	$(CARGO) bench -p peerstream-archive-store --bench store

# Simulated broadcasts (docs/lab.md). What is in target/lab and was made from the same inputs is not run again.
LAB := GLIBC_TUNABLES=glibc.malloc.hugetlb=1 $(CARGO) run --release --locked -- lab
SCENARIOS := live exponential vanish flash weak underperform overpromise control-drop control-lossy lag

lab-quick:
	$(LAB) run $(SCENARIOS) --viewers 200 --minutes 1 --into target/lab/quick
	$(LAB) run one-root --strategy dumbbell:roots=1 --viewers 200 --minutes 1 --into target/lab/quick

# Goes on when a property does not hold; fails at the end. DELAYS='--rtt FILE --set network.delays.kind=matrix' for those of a matrix.
DELAYS :=
lab-full:
	failed=0; \
	for scale in "10000 --minutes 10 --seeds 5" "1000 --minutes 30 --seeds 20"; do \
		name=target/lab/$${scale%% *}; mkdir -p target/lab; \
		$(LAB) run $(SCENARIOS) $(DELAYS) --viewers $$scale --into target/lab --html $$name.html || failed=1; \
		$(LAB) run one-root --strategy dumbbell:roots=1 $(DELAYS) --viewers $$scale --into target/lab --html $$name-one-root.html || failed=1; \
	done; exit $$failed
