# syntax=docker/dockerfile:1
# The platform in one image: every process of docker-compose.yml runs from it. With a GPU: --build-arg FRAMEWORKS=gpu
FROM python:3.11-slim-bookworm AS build
ARG FRAMEWORKS=frameworks
WORKDIR /opt/mlplatform
COPY requirements/ requirements/
RUN python -m venv /opt/uv \
    && /opt/uv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --require-hashes --requirement requirements/uv.txt
RUN /opt/uv/bin/uv venv --quiet --no-project --python python3.11 .venv \
    && /opt/uv/bin/uv pip sync --quiet --no-cache --require-hashes --compile-bytecode --no-build \
        --python .venv/bin/python requirements/base.txt "requirements/${FRAMEWORKS}.txt"

FROM python:3.11-slim-bookworm
# bubblewrap and util-linux keep jobs and model servers apart; OpenMP is what xgboost and faiss run on.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap libgomp1 tini util-linux \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin mlplatform \
    && install --directory --owner mlplatform --group mlplatform --mode 0700 /var/lib/mlplatform
WORKDIR /opt/mlplatform
COPY --from=build /opt/mlplatform/.venv .venv
COPY . .
# A process in a sandbox cannot write what it compiles, and would compile it at every start.
RUN .venv/bin/python -m compileall -q manage.py mlplatform jobs endpoints monitoring
ENV PYTHONUNBUFFERED=1 \
    MLPLATFORM_DATA_DIR=/var/lib/mlplatform
USER mlplatform
VOLUME /var/lib/mlplatform
EXPOSE 8000 9310
# tini collects the processes whose parents have ended.
ENTRYPOINT ["tini", "--", ".venv/bin/python", "manage.py"]
CMD ["help"]
