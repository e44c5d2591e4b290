# All that CI runs: `make test`. Each part can be run alone.

CARGO ?= cargo
CHECKED := --workspace --all-targets

.PHONY: test check tools unit web browser licences wasm fuzz bench

test: tools check unit web browser licences

# What the tests need beside Rust and Node: Debian's chromium, ffmpeg and firefox-esr.
tools:
	.ci/tools

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(CHECKED) --locked -- -D warnings

unit:
	PEERSTREAM_REQUIRE_TOOLS=1 $(CARGO) test --workspace --locked

web:
	cd hosts/web && npm ci --no-audit --no-fund && npm test

# The real host, real Chromium pages. A browser that hangs ends as a failure, not as silence.
browser:
	$(CARGO) build --locked
	cd hosts/web && PEERSTREAM_REQUIRE_TOOLS=1 timeout --kill-after=10 20m npm run test:browser

licences:
	.ci/licences

# Rebuilds the browser client; needs a wasm32 standard library (see CONTRIBUTING.md).
wasm:
	cd hosts/web && npm ci --no-audit --no-fund && npm run build

bench:
	$(CARGO) bench -p peerstream-node --bench engine
