"""Log groups of ours."""

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct


def kept_log_group(
    scope: Construct, id: str, *, retention: logs.RetentionDays, name: str | None = None
) -> logs.LogGroup:
    """A log group that outlives its stack, but not a deployment that fails to make it; `name` is made up by default."""
    return logs.LogGroup(
        scope,
        id,
        log_group_name=name,
        retention=retention,
        removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    )
