"""The one place that makes AWS clients: one a service, made once per environment and reused."""

import functools
from typing import Any

import boto3
from botocore.config import Config

CONNECTIONS = 16
"""Calls that a client can carry at the same time."""


@functools.cache
def client(service: str, *, attempts: int = 2, addressing: str = "auto") -> Any:
    """The boto3 client of `service` ("s3", "secretsmanager"), region and endpoint from the environment.

    `attempts` counts each call's tries; 1 is for a call that must not be sent twice unseen. Time-outs are short enough
    that a failed call and its retry leave the function time to answer. `addressing` is how S3's URLs name the bucket:
    "virtual" or "path" make boto3 sign URLs for the region's own endpoint, "auto" for the global one.
    """
    config = Config(
        connect_timeout=2,
        read_timeout=4,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=CONNECTIONS,
        # By itself boto3 signs a URL in the old way, which neither KMS nor newer regions know.
        signature_version="s3v4" if service == "s3" else None,
        s3={"addressing_style": addressing},
    )
    return boto3.client(service, config=config)
