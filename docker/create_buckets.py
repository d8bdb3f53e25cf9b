"""Make the buckets named on the command line, in the S3-compatible store that AWS_ENDPOINT_URL names."""

import sys

import boto3


def create_buckets(names: list[str]) -> None:
    """Make each bucket that is not there yet."""
    store = boto3.client("s3")
    there = {bucket["Name"] for bucket in store.list_buckets()["Buckets"]}
    for name in names:
        if name not in there:
            store.create_bucket(Bucket=name)


if __name__ == "__main__":
    create_buckets(sys.argv[1:])
