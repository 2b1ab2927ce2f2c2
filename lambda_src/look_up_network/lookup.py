"""What Managed Blockchain tells of a member, without Lambda."""

from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError


class NotUsable(Exception):
    """The member cannot be used; the text is what CloudFormation shows."""


def look_up(asked: Mapping[str, Any]) -> dict[str, str]:
    """`asked`: `{"NetworkId", "MemberId", "NodeIds": [...]}`.

    Returns `{"OrdererEndpoint", "Peer0Endpoint", ..., "CaEndpoint", "VpcEndpointServiceName"}`, endpoints as host:port.
    Raises NotUsable naming the id that is wrong.
    """
    client = boto3.client("managedblockchain")
    network = _get(client.get_network, "Network", NetworkId=asked["NetworkId"])
    if network["Framework"] != "HYPERLEDGER_FABRIC":
        raise NotUsable(f"networkId: {asked['NetworkId']} is a {network['Framework']} network, and no Fabric network")
    place = {"NetworkId": asked["NetworkId"], "MemberId": asked["MemberId"]}
    member = _get(client.get_member, "Member", **place)
    data = {
        "CaEndpoint": member["FrameworkAttributes"]["Fabric"]["CaEndpoint"],
        "VpcEndpointServiceName": network.get("VpcEndpointServiceName", ""),
        "OrdererEndpoint": network["FrameworkAttributes"]["Fabric"]["OrderingServiceEndpoint"],
    }
    for number, node_id in enumerate(asked["NodeIds"]):
        node = _get(client.get_node, "Node", **place, NodeId=node_id)
        if node["Status"] != "AVAILABLE":
            raise NotUsable(
                f"nodeIds: {node_id} is {node['Status']}, not AVAILABLE. Wait for it, or name another node."
            )
        data[f"Peer{number}Endpoint"] = node["FrameworkAttributes"]["Fabric"]["PeerEndpoint"]
    return data


def _get(call: Any, kind: str, **ids: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = call(**ids)[kind]
    except ClientError as error:
        named = ", ".join(f"{name[:1].lower()}{name[1:]} {value}" for name, value in ids.items())
        reason = error.response["Error"]
        raise NotUsable(
            f"{kind} not found by Managed Blockchain ({named}): {reason['Code']}: {reason['Message']}. "
            "Are the ids right, and of this account and region?"
        ) from error
    return found
