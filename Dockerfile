# The sidecar's image; the demo models of docker-compose.yml use it as well.
FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements-sidecar.txt pyproject.toml README.md LICENSE ./
COPY sidecar sidecar
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements-sidecar.txt \
 && cp -r sidecar /venv/lib/python3.12/site-packages/ \
 && printf '#!/venv/bin/python\nfrom sidecar.cli import main\nmain()\n' > /venv/bin/pointsman \
 && chmod +x /venv/bin/pointsman

FROM python:3.12-slim
# Envoy's image runs as user 101; the same user here lets both use the shared socket folder (0700).
RUN useradd --uid 101 --no-create-home --shell /usr/sbin/nologin pointsman \
 && mkdir -p /run/pointsman /var/lib/pointsman \
 && chown pointsman /run/pointsman /var/lib/pointsman && chmod 700 /run/pointsman /var/lib/pointsman
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 \
    POINTSMAN_RUN_DIR=/run/pointsman POINTSMAN_STATE_DIR=/var/lib/pointsman
USER pointsman
VOLUME ["/run/pointsman", "/var/lib/pointsman"]
HEALTHCHECK --interval=5s --timeout=2s --start-period=10s CMD \
  ["python", "-c", "import os, urllib.request as u; u.urlopen('http://' + os.environ.get('POINTSMAN_ADMIN', '127.0.0.1:8080') + '/healthz', timeout=1)"]
ENTRYPOINT ["pointsman"]
CMD ["serve"]
