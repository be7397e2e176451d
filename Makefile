# `make` alone lists the targets with their one-line descriptions. scripts/ does the work.
.DEFAULT_GOAL := help
.PHONY: help start stop clean logs status verify minio duckdb build test sim chaos fuzz bench bench-latency bench-scale conformance lint diagrams

RUN := scripts/run.sh

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

start: ## Start storage, producer and consumer, with Docker Compose or natively
	@$(RUN) start

stop: ## Stop producer and consumer; the storage stays up
	@$(RUN) stop

clean: ## Stop everything and delete the lake of `make start`
	@$(RUN) clean

logs: ## Follow the logs of producer and consumer (SERVICE=consumer: one of them)
	@$(RUN) logs $(SERVICE)

status: ## Show how far the stream is (STREAM=events)
	@$(RUN) status $(STREAM)

verify: ## Check the stream's ledger against the storage: exit 0 if they match (STREAM=events)
	@$(RUN) verify $(STREAM)

minio: ## Show where to browse the storage
	@$(RUN) minio

duckdb: ## Open the SQL shell over rows and dead letters
	@$(RUN) duckdb

build: ## Build all release programs into cargo's target folder
	@$(RUN) build

test: ## Run all tests; needs no Docker
	@scripts/fetch-duckdb.sh
	cargo test --workspace

sim: ## Simulate consumers that are killed, frozen and starved, in virtual time (SEEDS=1000 FIRST=0)
	@scripts/fetch-duckdb.sh
	SIM_SEEDS=$(or $(SEEDS),1000) SIM_FIRST=$(or $(FIRST),0) cargo test -p consumer --test it -- --nocapture simulation

chaos: ## Kill a consumer again and again on one stream (KILLS=200)
	@scripts/fetch-duckdb.sh
	CHAOS_KILLS=$(or $(KILLS),200) cargo test -p consumer --test it -- --nocapture processes::killed

conformance: ## Run the programs on S3 servers of other projects (SERVERS=seaweedfs,moto,…)
	@scripts/fetch-duckdb.sh
	python3 dev/conformance/run.py $(if $(SERVERS),--servers $(SERVERS))

bench: ## Measure the stages, compare Sluice with DuckDB, Polars and chDB, and S3 with a folder (RUNS=3 PEERS=duckdb,polars,chdb)
	@$(RUN) build
	cargo bench -p bench
	python3 dev/bench/run.py --runs $(or $(RUNS),3) --peers $(or $(PEERS),duckdb,polars,chdb)
	python3 dev/bench/s3.py --runs $(or $(RUNS),3)

bench-latency: ## Measure how long it takes from an upload to visible rows, with and without hints (PUTS=100)
	cargo build --release -p consumer -p local-s3 --bins
	python3 dev/bench/latency.py --puts $(or $(PUTS),100)

bench-scale: ## Measure how the cost grows with objects, bytes, known inputs, fields, bad records, cores (FULL=--full)
	@$(RUN) build
	python3 dev/bench/scale.py $(FULL)

fuzz: ## Fuzz the compiled enforcer against the judge; needs nightly Rust and cargo-fuzz (SECONDS=3600)
	cargo +nightly fuzz run --fuzz-dir dev/fuzz -s none agreement -- -max_total_time=$(or $(SECONDS),3600) -max_len=512

lint: ## Check formatting, lints, rustdoc, dependencies and scripts
	@scripts/fetch-duckdb.sh
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	@scripts/lint.sh

diagrams: ## Redraw diagrams/architecture-*.svg (needs Graphviz)
	@scripts/diagrams.sh
