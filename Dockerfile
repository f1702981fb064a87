# syntax=docker/dockerfile:1
#
# A static binary on an empty image: no shell, no package manager, nothing to patch but the binary itself.
#
#   docker build -t unthrottled .
#   docker run --rm unthrottled --version

FROM rust:1.95-alpine AS build
# aws-lc (TLS) and SQLite are compiled from C; both are linked statically with musl.
# hadolint ignore=DL3018 # Alpine keeps only the newest version of a package, so a pinned one fails within weeks.
RUN apk add --no-cache build-base cmake linux-headers perl \
    # It puts the list of the packages that the program is made of into it, where scanners such as Trivy, Grype and Syft find it.
    && cargo install --locked cargo-auditable@0.7.7
WORKDIR /src
COPY . .
# The simulated account is left out: it belongs to demos and tests.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo auditable build --locked --no-default-features --profile image --bin unthrottled \
    && cp target/image/unthrottled /unthrottled \
    && mkdir /ledger

FROM scratch
LABEL org.opencontainers.image.title="unthrottled" \
      org.opencontainers.image.description="Finds AWS CodeBuild builds that Docker Hub throttled and cures them" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:65532 /ledger/ /var/lib/unthrottled/
COPY --from=build /unthrottled /unthrottled
# A number, so that platforms can tell that it is not root without a passwd file.
USER 65532:65532
# The ledger; the one place that the daemon writes to. Mount something that outlives the container.
VOLUME ["/var/lib/unthrottled"]
ENV UNTHROTTLED_LEDGER__PATH=/var/lib/unthrottled/unthrottled.ledger
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["/unthrottled", "healthcheck"]
ENTRYPOINT ["/unthrottled"]
CMD ["run"]
