# The production application (examples/production) with gunicorn. It builds for x86-64 and arm64: every library of
# requirements/run.txt has a wheel for both (make wheels checks), so no compiler is needed.
#
#   docker build --tag wallet-sessions .

FROM python:3.13-slim AS libraries
COPY requirements/run.txt /tmp/run.txt
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --only-binary :all: --require-hashes -r /tmp/run.txt

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 BIND=0.0.0.0:8000
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin app
COPY --from=libraries /opt/venv /opt/venv
WORKDIR /app
COPY sessions_core/ sessions_core/
COPY examples/production/app.py deploy/gunicorn.conf.py ./
USER 10001
EXPOSE 8000
# Whether the process answers. Redis is not asked, since a restart of this container would not heal it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=4)"]
CMD ["gunicorn"]
