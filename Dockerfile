# Builds the binary from the lock file; an image contains nothing else. Without a target, the image carries a PostgreSQL;
# `--target slim` makes one without, for a database of your own.
FROM oven/bun:1.4.5-slim AS packages
WORKDIR /dewey
COPY package.json bun.lock ./

FROM packages AS build-slim
RUN bun install --frozen-lockfile --omit=optional
COPY src src
COPY sql sql
RUN bun src/build/build.ts --no-engine

FROM packages AS build
RUN bun install --frozen-lockfile
COPY src src
COPY sql sql
RUN bun src/build/build.ts

# A glibc distribution, because Bun and the embedded PostgreSQL are built for glibc.
FROM debian:12-slim AS base
RUN useradd --uid 9020 --no-log-init --no-create-home --home-dir /var/lib/dewey --shell /usr/sbin/nologin dewey \
  && install --directory --owner=dewey --group=dewey --mode=0711 /var/lib/dewey
# Loopback inside a container is unreachable from outside. Without a token, other addresses require --no-auth.
ENV DEWEY_DATA_DIR=/var/lib/dewey DEWEY_MCP_HOST=0.0.0.0 DEWEY_PROXY_HOST=0.0.0.0
VOLUME /var/lib/dewey
EXPOSE 9020 9000
# By number, so that orchestrators can verify that it is not root.
USER 9020:9020
# For a proxy: dewey health --url ws://localhost:9000
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["dewey", "health"]
ENTRYPOINT ["dewey"]
CMD ["serve"]

FROM base AS slim
COPY --from=build-slim /dewey/dist/dewey-slim /usr/local/bin/dewey

FROM base
COPY --from=build /dewey/dist/dewey /usr/local/bin/dewey
