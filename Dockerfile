# Two stages: the first has the compiler, the second has the binary and nothing to log in with.

FROM docker.io/library/rust:1.95-slim-bookworm AS build
WORKDIR /build
# The commit and its date, for `reinstate --version`: --build-arg COMMIT="$(git log -1 --format='%h %cs' --abbrev=12)"
ARG COMMIT=""
# The tests build with `trial`, which is quicker to build and slower to run.
ARG PROFILE=release
# Dependencies alone first, so that a change of the source does not build them again.
COPY Cargo.toml Cargo.lock askama.toml ./
RUN mkdir -p src benches/claims benches/console benches/intake tests/it \
    && echo 'fn main() {}' | tee src/main.rs src/build.rs benches/claims/main.rs benches/console/main.rs benches/intake/main.rs > tests/it/main.rs \
    && touch src/lib.rs \
    && cargo build --profile "$PROFILE" --locked --bin reinstate \
    && cd "target/$PROFILE" \
    && rm -rf ../../src reinstate .fingerprint/reinstate-* build/reinstate-* deps/*reinstate-*
COPY config config
COPY src src
RUN REINSTATE_COMMIT="$COMMIT" cargo build --profile "$PROFILE" --locked --bin reinstate \
    && install -D -m 0755 "target/$PROFILE/reinstate" /out/usr/bin/reinstate \
    && install -d -m 0750 -o 65532 -g 65532 /out/var/lib/reinstate

# glibc, libgcc, CA certificates; no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/ /
# The root may be read-only: everything that is written goes to the data volume, relative to which the default of
# store.url is. It is not set here: a value in the image would stand in the way of REINSTATE__STORE__URL_FILE.
WORKDIR /var/lib/reinstate
VOLUME /var/lib/reinstate
USER 65532:65532
# Callbacks. The admin listener stays on the container's loopback; to reach it from outside set
# REINSTATE__ADMIN__LISTEN=0.0.0.0:9090 and a REINSTATE__ADMIN__BOOTSTRAP_TOKEN, and map that port to a trusted network only.
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/usr/bin/reinstate", "healthcheck"]
ENTRYPOINT ["/usr/bin/reinstate"]
CMD ["serve"]
