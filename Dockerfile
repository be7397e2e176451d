# syntax=docker/dockerfile:1
# One target per program: docker build --target consumer .
ARG DEBIAN=bookworm
ARG RUST=1.95

FROM rust:${RUST}-slim-${DEBIAN} AS build
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates curl unzip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# A separate layer: DuckDB is fetched again only when the script, with its pins, changes.
COPY scripts/fetch-duckdb.sh scripts/
RUN scripts/fetch-duckdb.sh /duckdb
ENV DUCKDB_LIB_DIR=/duckdb
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --workspace --bins \
    && mkdir /programs \
    && cp target/release/producer target/release/consumer target/release/reader target/release/local-s3 /programs/

FROM debian:${DEBIAN}-slim AS runtime
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 sluice
WORKDIR /sluice
USER 10001

FROM runtime AS producer
COPY --from=build /programs/producer /usr/local/bin/
ENTRYPOINT ["producer"]

FROM runtime AS consumer
COPY --from=build /programs/consumer /usr/local/bin/
COPY streams streams
ENTRYPOINT ["consumer"]

FROM runtime AS reader
COPY --from=build /duckdb /usr/local/duckdb
COPY streams streams
COPY --from=build /programs/reader /usr/local/bin/
ENTRYPOINT ["reader"]

FROM runtime AS local-s3
COPY --from=build /programs/local-s3 /usr/local/bin/
ENTRYPOINT ["local-s3"]
