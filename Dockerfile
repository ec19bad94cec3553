# Two stages: wheels are made where tools are, and run where none are.

FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements/run.lock requirements/build.lock requirements/
RUN python -m venv /opt/leadgate \
 && python -m venv /opt/build \
 && /opt/leadgate/bin/pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements/run.lock \
 && /opt/build/bin/pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY templates templates
COPY static static
RUN /opt/build/bin/hatchling build -t wheel -d /wheels \
 && /opt/leadgate/bin/pip install --no-cache-dir --no-deps /wheels/*.whl

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --home-dir /data leadgate \
 && install -d -o leadgate -g leadgate -m 0700 /data
COPY --from=build /opt/leadgate /opt/leadgate
ENV PATH=/opt/leadgate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LEADGATE_FORMS=/etc/leadgate/forms.toml \
    LEADGATE_DATABASE_URL=sqlite:////data/leadgate.db
# Run it with --read-only --tmpfs /tmp: the store's volume is all that is written to.
USER leadgate
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["leadgate"]
CMD ["serve", "--host", "0.0.0.0"]
