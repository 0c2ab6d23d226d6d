# cxroute as an image: `docker build -t cxroute .`; see deploy/README.md. Both stages are of one base, whose digest the
# builder can pin: --build-arg BASE=python:3.13-slim-trixie@sha256:... Dependabot reads the tag of a FROM, not of an ARG.
ARG BASE=default
FROM python:3.13-slim-trixie AS default

FROM ${BASE} AS build
WORKDIR /opt/cxroute
# Wheels alone, each with its hash: nothing of another package runs while it is installed.
COPY requirements-serve.txt ./
RUN python -m venv --without-pip . \
 && python -m pip --python bin/python install --no-cache-dir --disable-pip-version-check --no-compile \
    --only-binary=:all: --require-hashes -r requirements-serve.txt
# cxroute itself is not built: it runs from its own folder, where `demo` finds the bank's manifests as well. Isolated (-I),
# Python looks for modules in no folder that somebody works in.
COPY reconciler app/reconciler
COPY manifests app/manifests
RUN site="$(bin/python -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
 && printf '%s\n' /opt/cxroute/app > "$site/cxroute.pth" \
 && printf '#!/bin/sh\nexec /opt/cxroute/bin/python -I -m reconciler "$@"\n' > bin/cxroute \
 && chmod 755 bin/cxroute \
 && bin/python -I -m compileall -q --invalidation-mode unchecked-hash "$site" app

FROM ${BASE}
LABEL org.opencontainers.image.title="cxroute" \
      org.opencontainers.image.description="Routing rules as code for NICE CXone" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/cxroute /opt/cxroute
COPY LICENSE /opt/cxroute/
# Nobody by name, and nothing of it can be written but the folder to work in, which holds the journal.
RUN install -d -o 10001 -g 10001 -m 700 /work
ENV PATH=/opt/cxroute/bin:$PATH LOGNAME=cxroute
WORKDIR /work
USER 10001:10001
EXPOSE 3000
# Asks serve, watch --listen and simulate on whatever port they listen; a command that listens to nothing is healthy.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["python", "-I", "-m", "reconciler.cli.health"]
ENTRYPOINT ["cxroute"]
CMD ["--help"]
