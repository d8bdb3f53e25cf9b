# The MLflow server of docker-compose.yaml, of the version that this provider is tested with. Build it in the
# repository's root.
FROM python:3.11-slim-bookworm

RUN pip install --no-cache-dir "uv==0.13.9" \
 && useradd --uid 50000 --create-home mlflow

WORKDIR /build
COPY pyproject.toml hatch_build.py constraints.txt README.md LICENSE ./
COPY airflow_provider_ifp airflow_provider_ifp
COPY dags dags
# boto3: artifacts go to the S3-compatible store.
RUN uv pip install --system --no-cache --compile-bytecode -c constraints.txt \
      '.[mlflow]' \
      "boto3" \
      "psycopg2-binary"

USER mlflow
WORKDIR /home/mlflow
CMD ["mlflow", "--version"]
