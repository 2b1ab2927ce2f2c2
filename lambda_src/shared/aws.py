"""The one place that makes AWS clients: one a service, made once per environment and reused."""

import functools
from typing import Any

import boto3
from botocore.config import Config

# Short enough that a failed call and its retry leave the function time to answer.
_CONFIG = Config(connect_timeout=2, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 2})


@functools.cache
def client(service: str) -> Any:
    """The boto3 client of `service` ("s3", "secretsmanager"), region and endpoint from the environment."""
    return boto3.client(service, config=_CONFIG)  # type: ignore[call-overload]
