"""The on-event handler of a custom resource behind CDK's Provider framework."""

from collections.abc import Mapping
from typing import Any

from shared.observability import observed

from .lookup import look_up


@observed(has_requests=False)
def handler(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Look up on Create and Update; nothing is to be done on Delete.

    `event`: `{"RequestType", "ResourceProperties": {"NetworkId", "MemberId", "NodeIds": [...]}}`.

    Returns `{"PhysicalResourceId", "Data"}` with what `look_up` returns, and raises what it raises.
    """
    asked = event["ResourceProperties"]
    if event["RequestType"] == "Delete":
        return {"PhysicalResourceId": event["PhysicalResourceId"]}
    return {"PhysicalResourceId": f"{asked['NetworkId']}/{asked['MemberId']}", "Data": look_up(asked)}
