# The official image of PostgreSQL with apikeys:
#
#   docker build --build-arg PG_MAJOR=17 --tag apikeys:17 .
#   docker run --env POSTGRES_PASSWORD=... apikeys:17 \
#     -c shared_preload_libraries=apikeys

ARG PG_MAJOR=17

# Built with the headers of the very server that it is for (the image tells its
# PG_VERSION): later ones may need a later server.
FROM postgres:${PG_MAJOR}-bookworm AS build
RUN apt-get update && \
    apt-get install -y --no-install-recommends gcc libc6-dev libsodium-dev make \
      pkg-config \
      "postgresql-server-dev-${PG_MAJOR}=${PG_VERSION}"
COPY . /src
RUN make -C /src -j"$(nproc)" all with_llvm=no && \
    make -C /src install DESTDIR=/out with_llvm=no

FROM postgres:${PG_MAJOR}-bookworm
RUN apt-get update && \
    apt-get install -y --no-install-recommends libsodium23 && \
    rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /
