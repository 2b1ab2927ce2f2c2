"""The on-event handler of a custom resource behind CDK's provider framework."""

import functools
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from shared import aws
from shared.observability import observed

from .adoption import Adoption, Wanted
from .rest_api import AdoptionError


@functools.cache
def api_gateway() -> Any:
    """The client of API Gateway's control plane, which throttles hard (create_deployment: once in five seconds for the
    account) and takes its time for a large API."""
    config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 8})
    return boto3.client("apigateway", config=config)


@observed(has_requests=False)
def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Adopt the method on Create and Update; put back what was there on Delete.

    `event`: `{"RequestType", "PhysicalResourceId", "ResourceProperties", "OldResourceProperties"}`, with the properties
    of `Wanted.from_properties`.

    Returns `{"PhysicalResourceId", "Data": {"DeploymentId"}}`. Another target has another physical id, so that
    CloudFormation deletes the former one afterwards. Raises AdoptionError, whose text is what CloudFormation shows; the
    method is then as it was before.
    """
    wanted = Wanted.from_properties(event["ResourceProperties"])
    adoption = Adoption(
        wanted,
        api_gateway=api_gateway(),
        s3=aws.client("s3", attempts=5),
        remaining=lambda: float(context.get_remaining_time_in_millis()) / 1000,
    )
    if event["RequestType"] == "Delete":
        adoption.put_back()
        return {"PhysicalResourceId": event["PhysicalResourceId"]}
    former = None
    if event["RequestType"] == "Update" and event["PhysicalResourceId"] == wanted.target.physical_id:
        former = Wanted.from_properties(event["OldResourceProperties"])
        if (former.bucket, former.key) != (wanted.bucket, wanted.key):
            raise AdoptionError(
                f"{wanted.target}: what it was before is saved in s3://{former.bucket}/{former.key} and cannot move "
                "while the method is adopted. Keep backup_bucket, or remove the construct, deploy, and add it again."
            )
    return {
        "PhysicalResourceId": wanted.target.physical_id,
        "Data": {"DeploymentId": adoption.adopt(former=former)},
    }
