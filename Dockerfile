# One image for every part of Malgil; docker-compose.yml says which command each container runs.
# It is built in two stages, so that pip and its cache stay behind.

FROM python:3.11-slim AS builder
# An index with torch for the CPU alone spares gigabytes:
# docker build --build-arg PIP_EXTRA_INDEX_URL=...
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/malgil
WORKDIR /app
# What Malgil needs is installed before its own code comes, and again only when these change.
COPY pyproject.toml constraints.txt README.md LICENSE ./
# Torch's own tests, and the headers for building upon it, are never used here.
RUN /opt/malgil/bin/pip install --constraint constraints.txt '.[tracing]' \
    && rm -rf /opt/malgil/lib/python3.*/site-packages/torch/test \
        /opt/malgil/lib/python3.*/site-packages/torch/include
COPY core core
COPY services services
COPY workers workers
COPY migrations migrations
COPY examples examples
RUN /opt/malgil/bin/pip install --no-deps --editable . \
    && /opt/malgil/bin/python -m compileall -q core services workers migrations \
    && rm -rf build

FROM python:3.11-slim
# The volumes that are mounted over these directories belong to the same user from the beginning.
RUN groupadd --gid 10001 malgil \
    && useradd --uid 10001 --gid malgil --no-create-home --shell /usr/sbin/nologin malgil \
    && mkdir /blobs && chown malgil:malgil /blobs
COPY --from=builder /opt/malgil /opt/malgil
COPY --from=builder /app /app
# The root file system may be read-only: what is written goes to /tmp and /blobs.
ENV PATH=/opt/malgil/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    MALGIL_HOME=/tmp/malgil \
    MALGIL_HOST=0.0.0.0 \
    MALGIL_BLOBS_URL=file:///blobs
WORKDIR /app
USER malgil
EXPOSE 8000
CMD ["python", "-m", "services.api"]
