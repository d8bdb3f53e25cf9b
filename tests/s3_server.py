"""An S3 of the tests' own, by moto, with one bucket."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import requests

from airflow_provider_ifp.demo.services import free_port, own_environment, running_services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Bucket:
    """A bucket, its `s3://` address, and what a client needs to reach it."""

    uri: str
    environment: dict[str, str]
    client: Any

    def files(self):
        """Key -> content."""
        name = self.uri.removeprefix("s3://")
        listed = self.client.list_objects_v2(Bucket=name).get("Contents", [])
        return {
            entry["Key"]: self.client.get_object(Bucket=name, Key=entry["Key"])["Body"].read()
            for entry in listed
        }

    def write(self, key, content):
        """Write one object; None: delete it."""
        name = self.uri.removeprefix("s3://")
        if content is None:
            self.client.delete_object(Bucket=name, Key=key)
        else:
            self.client.put_object(Bucket=name, Key=key, Body=content)


@contextmanager
def running_s3(folder: Path, bucket: str = "models") -> Iterator[Bucket]:
    """Hold the server for as long as the block runs."""
    url = f"http://127.0.0.1:{free_port()}"
    environment = {
        "AWS_ACCESS_KEY_ID": "of-the-tests",
        "AWS_SECRET_ACCESS_KEY": "of-the-tests",
        "AWS_DEFAULT_REGION": "us-east-1",
        "MLFLOW_S3_ENDPOINT_URL": url,
    }
    with running_services(folder / "logs") as services:
        command = ["-m", "moto.server", "-H", "127.0.0.1", "-p", url.rpartition(":")[2]]
        services.start("s3", command, own_environment())
        services.wait_until(lambda: requests.get(url, timeout=5).ok, what=f"S3 at {url}", seconds=60)
        client = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="of-the-tests",
            aws_secret_access_key="of-the-tests",
        )
        client.create_bucket(Bucket=bucket)
        yield Bucket(f"s3://{bucket}", environment, client)
