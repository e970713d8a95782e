# docker build -t serin .
# docker run -p 8080:8080 -v serin:/var/lib/serin -v ./policies:/etc/serin/policies:ro serin
#
# The server refuses to start on an address that others can reach while it has no token; make one
# first, in the same volume:
# docker run --rm -v serin:/var/lib/serin serin token create --name ops --scope admin --data /var/lib/serin

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin serin

FROM debian:bookworm-slim
# The certificates are for registries and webhooks that are asked over TLS.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/serin --create-home serin \
    && install --directory --owner serin /etc/serin/policies
COPY --from=build /build/target/release/serin /usr/local/bin/serin

ENV SERIN_DATA=/var/lib/serin \
    SERIN_POLICIES=/etc/serin/policies \
    SERIN_LISTEN=0.0.0.0:8080 \
    SERIN_LOG_FORMAT=json
USER serin
WORKDIR /var/lib/serin
VOLUME /var/lib/serin
EXPOSE 8080
# `serve` ends on SIGTERM after the requests that it has.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["serin", "status", "--ready"]
ENTRYPOINT ["serin"]
CMD ["serve"]
