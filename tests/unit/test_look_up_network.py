"""The look-up of a Managed Blockchain member, against moto: found, changed, gone."""

from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from look_up_network.handler import handler
from look_up_network.lookup import NotUsable

from tests.unit.deployment import Context
from tests.unit.signals import CORRELATION_ID, Signals

_LOGS = {"Cloudwatch": {"Enabled": False}}


@dataclass
class Member:
    """A network with one member and its nodes, and the custom resource's event for them."""

    client: Any
    network_id: str
    member_id: str
    node_ids: list[str]

    def event(self, kind: str = "Create", **changes: Any) -> dict[str, Any]:
        asked = {"NetworkId": self.network_id, "MemberId": self.member_id, "NodeIds": self.node_ids} | changes
        return {"RequestType": kind, "PhysicalResourceId": "before", "ResourceProperties": asked}

    def add_node(self) -> None:
        made = self.client.create_node(
            NetworkId=self.network_id,
            MemberId=self.member_id,
            NodeConfiguration={
                "InstanceType": "bc.t3.large",
                "AvailabilityZone": "us-east-1a",
                "LogPublishingConfiguration": {"Fabric": {"ChaincodeLogs": _LOGS}},
            },
        )
        self.node_ids.append(made["NodeId"])


@pytest.fixture
def member(aws_emulation: None) -> Member:
    client = boto3.client("managedblockchain")
    made = client.create_network(
        Name="network",
        Framework="HYPERLEDGER_FABRIC",
        FrameworkVersion="1.2",
        FrameworkConfiguration={"Fabric": {"Edition": "STANDARD"}},
        VotingPolicy={
            "ApprovalThresholdPolicy": {
                "ThresholdPercentage": 50,
                "ProposalDurationInHours": 24,
                "ThresholdComparator": "GREATER_THAN",
            }
        },
        MemberConfiguration={
            "Name": "member",
            "LogPublishingConfiguration": {"Fabric": {"CaLogs": _LOGS}},
            "FrameworkConfiguration": {"Fabric": {"AdminUsername": "admin", "AdminPassword": "Password123"}},
        },
    )
    found = Member(client=client, network_id=made["NetworkId"], member_id=made["MemberId"], node_ids=[])
    found.add_node()
    found.add_node()
    return found


def test_endpoints_are_told_as_host_and_port(member: Member) -> None:
    answer = handler(member.event(), Context())
    data, suffix = answer["Data"], "managedblockchain.us-east-1.amazonaws.com"
    network, of_member = member.network_id.lower(), member.member_id.lower()
    assert answer["PhysicalResourceId"] == f"{member.network_id}/{member.member_id}"
    assert data["OrdererEndpoint"] == f"orderer.{network}.{suffix}:30001"
    assert data["CaEndpoint"] == f"ca.{of_member}.{network}.{suffix}:30002"
    for number, node_id in enumerate(member.node_ids):
        assert data[f"Peer{number}Endpoint"].startswith(f"{node_id.lower()}.")
        assert data[f"Peer{number}Endpoint"].endswith(":30003")
    # moto knows no endpoint service.
    assert data["VpcEndpointServiceName"] == ""


def test_other_nodes_are_an_update_in_place(member: Member) -> None:
    before = handler(member.event(), Context())
    member.add_node()
    after = handler(member.event("Update"), Context())
    assert after["PhysicalResourceId"] == before["PhysicalResourceId"]
    assert after["Data"].items() >= before["Data"].items()
    assert "Peer2Endpoint" in after["Data"]


def test_removal_asks_nothing_and_keeps_the_id(member: Member) -> None:
    assert handler(member.event("Delete", NetworkId="n-GONE"), Context()) == {"PhysicalResourceId": "before"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"NetworkId": "n-GONE"}, "Network not found by Managed Blockchain (networkId n-GONE)"),
        ({"MemberId": "m-GONE"}, "memberId m-GONE"),
        ({"NodeIds": ["nd-GONE"]}, "nodeId nd-GONE"),
    ],
)
@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_an_id_that_is_wrong_is_named_with_the_mend(
    member: Member, kind: str, change: dict[str, Any], named: str
) -> None:
    with pytest.raises(NotUsable) as failure:
        handler(member.event(kind, **change), Context())
    assert named in str(failure.value)
    assert "ResourceNotFoundException" in str(failure.value)
    assert "Are the ids right" in str(failure.value)


def test_a_node_that_is_not_there_any_more_is_named(member: Member) -> None:
    member.client.delete_node(NetworkId=member.network_id, MemberId=member.member_id, NodeId=member.node_ids[1])
    with pytest.raises(NotUsable, match=member.node_ids[1]):
        handler(member.event(), Context())


def test_the_log_names_cloudformations_request(member: Member, signals: Signals) -> None:
    with pytest.raises(NotUsable):
        handler(member.event(NetworkId="n-GONE") | {"RequestId": CORRELATION_ID}, Context())
    assert signals.message("Failed")["exceptionName"] == "NotUsable"
    signals.require_correlated("invocation")
    assert signals.metric_lines == []
