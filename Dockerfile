# cxroute as an image: `docker build -t cxroute .`; see deploy/README.md. Both stages are of one base, whose digest the
# builder can pin: --build-arg BASE=python:3.13-slim-trixie@sha256:...
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
WORKDIR /opt/cxroute
# Wheels alone, each with its hash: nothing of another package runs while it is installed.
COPY requirements.txt ./
RUN python -m venv --without-pip . \
 && python -m pip --python bin/python install --no-cache-dir --disable-pip-version-check --no-compile \
    --only-binary=:all: --require-hashes -r requirements.txt
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
# Of `cxroute serve`; every other command has ended before anybody asks.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["python", "-I", "-c", "import os, urllib.request as web; web.urlopen(f\"http://127.0.0.1:{os.environ.get('PORT', 3000)}/health\", timeout=4)"]
ENTRYPOINT ["cxroute"]
CMD ["--help"]
