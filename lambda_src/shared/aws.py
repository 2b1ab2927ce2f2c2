"""The one place that makes AWS clients: one a service, made once per environment and reused."""

import functools
from typing import Any

import boto3
from botocore.config import Config


@functools.cache
def client(service: str, *, attempts: int = 2) -> Any:
    """The boto3 client of `service` ("s3", "secretsmanager"), region and endpoint from the environment.

    `attempts` counts each call's tries; 1 is for a call that must not be sent twice unseen. Time-outs are short enough
    that a failed call and its retry leave the function time to answer.
    """
    config = Config(connect_timeout=2, read_timeout=4, retries={"mode": "standard", "total_max_attempts": attempts})
    return boto3.client(service, config=config)
