# The image's own Node is the runtime; the one that the repository pins for development stays behind
# with the other development dependencies.
FROM node:26-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY providers ./providers
COPY src ./src
RUN npm run build && npm prune --omit=dev

FROM node:26-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY package.json LICENSE ./
COPY bin ./bin
COPY policies ./policies
# The user `node` of the base image, by number: then Kubernetes can tell that it is not root.
RUN ln -s /app/bin/ratelord.js /usr/local/bin/ratelord \
  && install -d -o 1000 -g 1000 -m 0700 /data
USER 1000:1000

# Inside the container it listens on every address, or nothing outside could reach it. Publish the
# ports on loopback only (`-p 127.0.0.1:8787:8787`): whoever reaches the proxy uses it, and the API
# shows who uses what. Set `api.token` if other containers share its network.
ENV RATELORD_LISTEN=0.0.0.0:8787 \
    RATELORD_API=0.0.0.0:8090 \
    RATELORD_DATA=/data
EXPOSE 8787 8090
# Ledger, local CA and keys: all that is ever written, so `docker run --read-only` works.
VOLUME /data
STOPSIGNAL SIGTERM
# Health answers without a token; 200 also when degraded, since a restart would mend nothing then.
HEALTHCHECK --interval=15s --timeout=3s --start-period=5s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.RATELORD_API.split(':').pop() + '/v1/health').then((r) => r.json()).then((h) => process.exit(h.status === 'initializing' ? 1 : 0), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/bin/ratelord.js"]
CMD ["serve"]
