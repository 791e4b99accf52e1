# The relay in a container: without root, with a read-only root file system and all its data in one volume.
#   docker build -t smarthost . && docker compose -f deploy/compose.yaml up -d
# The system's Node only starts npm; the Node that runs the relay is pinned in package-lock.json.

FROM debian:13-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends binutils ca-certificates nodejs npm
WORKDIR /opt/smarthost
COPY package.json package-lock.json .npmrc ./
# No script of a package runs; our own makes the link to the Node of the relay. What only a compiler, a debugger or a reader needs goes:
# headers, manuals, types, source maps, symbols, and the compiler, which npm installs because a package could check types with it.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error \
    && npm run --silent postinstall \
    && rm -rf node_modules/node-linux-*/include node_modules/node-linux-*/share node_modules/typescript node_modules/@typescript \
    && find node_modules \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.[cm]ts' \) -delete \
    && strip node_modules/node-linux-*/bin/node
COPY LICENSE ./
COPY src src
# The limits are those of the systemd unit, which has the reasons.
RUN printf '#!/bin/sh\nexport MALLOC_ARENA_MAX=2\nexec /opt/smarthost/node_modules/.bin/node --max-semi-space-size=16 --initial-old-space-size=128 --invocation-count-for-maglev=30 /opt/smarthost/src/smarthost.ts "$@"\n' > /usr/local/bin/smarthost \
    && chmod 0755 /usr/local/bin/smarthost \
    && NODE_COMPILE_CACHE=/opt/smarthost/node_modules/.cache/smarthost node_modules/.bin/node --disable-warning=ExperimentalWarning src/console/page-build.ts \
    && chmod -R u=rwX,go=rX /opt/smarthost \
    && smarthost version

FROM debian:13-slim
# Fixed ids, so that a volume works with every later image.
RUN groupadd --system --gid 2525 smarthost \
    && useradd --system --uid 2525 --gid 2525 --home-dir /var/lib/smarthost --no-create-home --shell /usr/sbin/nologin smarthost \
    && install -d -o smarthost -g smarthost -m 0700 /var/lib/smarthost \
    && install -d -m 0755 /etc/smarthost
COPY --from=build /opt/smarthost /opt/smarthost
COPY --from=build /usr/local/bin/smarthost /usr/local/bin/smarthost
USER smarthost
VOLUME /var/lib/smarthost
# A configuration that was made in the browser is in the volume, where every command finds it.
WORKDIR /var/lib/smarthost
EXPOSE 465 587 80 8026
STOPSIGNAL SIGTERM
# Checks that the process is alive, not that it is ready: a restart does not mend a full disk or an expired certificate.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["/opt/smarthost/node_modules/.bin/node", "-e", "fetch('http://127.0.0.1:8025/healthz').then((reply) => process.exit(reply.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["smarthost"]
# Without a host name it asks for one in the browser: `docker logs` shows where.
CMD ["serve", "--first-run", "[::]:8026"]
