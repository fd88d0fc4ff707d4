"""Makes the buckets of the stack; those that are there stay as they are."""

from __future__ import annotations

import os
import sys

import boto3


def main(names: list[str]) -> None:
    """Address and key come from the environment (AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)."""
    s3 = boto3.client("s3", region_name=os.environ["VITRINA_S3_REGION"])
    there = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for name in names:
        if name not in there:
            s3.create_bucket(Bucket=name)
        sys.stdout.write(f"bucket {name}: {'was there' if name in there else 'made'}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
