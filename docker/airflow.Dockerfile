# Airflow with this provider, for every Airflow service of docker-compose.yaml. Build it in the repository's root.
FROM python:3.11-slim-bookworm

# git: provenance names the commit that the training code came from.
# tini: ends a worker's children when the worker ends.
# gcc: compiles the counting of numbers (hatch_build.py).
RUN apt-get update -q \
 && apt-get install -qy --no-install-recommends gcc git libc6-dev tini \
 && rm -rf /var/lib/apt/lists/* \
 && pip install --no-cache-dir "uv==0.13.9" \
 && useradd --uid 50000 --create-home --home-dir /opt/airflow airflow \
 && install -d -o airflow -g airflow /opt/airflow/dags /opt/airflow/logs /var/cache/ifp

WORKDIR /build
COPY pyproject.toml hatch_build.py constraints.txt README.md LICENSE ./
COPY airflow_provider_ifp airflow_provider_ifp
COPY dags dags
# constraints.txt has no Celery: the tests need none. Airflow's Celery executor breaks with Celery 5.7.
# asyncpg: the triggerer speaks to the database without blocking.
RUN uv pip install --system --no-cache --compile-bytecode -c constraints.txt \
      '.[airflow,amazon,slack,torch]' \
      "apache-airflow-providers-celery==3.26.0" \
      "apache-airflow-providers-fab==3.10.2" \
      "celery<5.7" \
      "redis" \
      "asyncpg" \
      "psycopg2-binary" \
      "pandas"

ENV AIRFLOW_HOME=/opt/airflow
WORKDIR /opt/airflow
USER airflow
ENTRYPOINT ["tini", "--"]
CMD ["airflow", "version"]
