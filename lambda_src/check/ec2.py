"""What EC2 says of a VPC: its DNS, subnets, route tables and endpoints."""

import functools
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from shared import aws

AMAZON_DNS = "AmazonProvidedDNS"


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """`free`: addresses that are not used. `table`: its route table, the VPC's main one if it has none of its own."""

    id: str
    vpc_id: str
    zone: str
    free: int
    public: bool
    has_nat: bool
    table: str


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A VPC endpoint. `tables` of a gateway endpoint; `groups` guard an interface endpoint."""

    id: str
    service: str
    is_gateway: bool
    tables: frozenset[str]
    groups: frozenset[str]
    private_dns: bool
    policy: Mapping[str, Any]
    own: bool
    """Whether it is the deployment's, from an earlier time."""


class Vpc:
    """A VPC of the account and region, as it is for the deployment `stack`. Each attribute is asked for once, and
    raises ClientError."""

    def __init__(self, vpc_id: str, stack: str) -> None:
        self.id, self._stack = vpc_id, stack
        self._ec2 = aws.client("ec2")

    @functools.cached_property
    def description(self) -> Mapping[str, Any]:
        described: Mapping[str, Any] = self._ec2.describe_vpcs(VpcIds=[self.id])["Vpcs"][0]
        return described

    def require(self) -> None:
        """Raises ClientError where there is no such VPC."""
        self.description  # noqa: B018

    def attribute(self, name: str) -> bool:
        """`enableDnsSupport` or `enableDnsHostnames`."""
        answer = self._ec2.describe_vpc_attribute(VpcId=self.id, Attribute=name)
        return bool(answer[f"{name[0].upper()}{name[1:]}"]["Value"])

    @functools.cached_property
    def dns_servers(self) -> list[str]:
        """As the VPC's DHCP options have them; AMAZON_DNS stands for Amazon's."""
        options = self.description["DhcpOptionsId"]
        if options == "default":
            return [AMAZON_DNS]
        (found,) = self._ec2.describe_dhcp_options(DhcpOptionsIds=[options])["DhcpOptions"]
        for each in found["DhcpConfigurations"]:
            if each["Key"] == "domain-name-servers":
                return [value["Value"] for value in each["Values"]]
        return [AMAZON_DNS]

    @functools.cached_property
    def subnets(self) -> dict[str, Subnet]:
        """By id."""
        tables = self._all("describe_route_tables", "RouteTables", self._of_vpc)
        by_subnet = {
            each["SubnetId"]: table for table in tables for each in table["Associations"] if "SubnetId" in each
        }
        main = next(table for table in tables for each in table["Associations"] if each.get("Main"))
        return {
            each["SubnetId"]: _subnet(each, by_subnet.get(each["SubnetId"], main))
            for each in self._all("describe_subnets", "Subnets", self._of_vpc)
        }

    @functools.cached_property
    def endpoints(self) -> list[Endpoint]:
        """Those that exist or are being made."""
        found = self._all("describe_vpc_endpoints", "VpcEndpoints", self._of_vpc)
        gone = ("deleting", "deleted", "failed", "rejected", "expired")
        own = self._of_stack if found else frozenset()
        return [_endpoint(each, own) for each in found if each["State"].lower() not in gone]

    @functools.cached_property
    def _of_stack(self) -> frozenset[str]:
        """Ids of what the deployment has made, if it was deployed before."""
        pages = aws.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self._stack)
        try:
            found = [each for page in pages for each in page["StackResourceSummaries"]]
        except ClientError as failure:
            if failure.response["Error"]["Code"] == "ValidationError":  # there is no such stack
                return frozenset()
            raise
        return frozenset(each["PhysicalResourceId"] for each in found if "PhysicalResourceId" in each)

    @functools.cached_property
    def groups(self) -> dict[str, Mapping[str, Any]]:
        """The security groups by id."""
        return {each["GroupId"]: each for each in self._all("describe_security_groups", "SecurityGroups", self._of_vpc)}

    def interfaces_of_functions(self, subnet: str) -> int:
        """How many network interfaces Lambda has in a subnet for the deployment's functions, from an earlier time."""
        names = {"subnet-id": [subnet], "description": [f"AWS Lambda VPC ENI-{self._stack}-*"]}
        return len(self._all("describe_network_interfaces", "NetworkInterfaces", names))

    def prefix_list(self, name: str) -> str | None:
        """The id of a prefix list of AWS's."""
        found = self._all("describe_managed_prefix_lists", "PrefixLists", {"prefix-list-name": [name]})
        return next((each["PrefixListId"] for each in found), None)

    @property
    def _of_vpc(self) -> dict[str, list[str]]:
        return {"vpc-id": [self.id]}

    def _all(self, operation: str, kind: str, names: Mapping[str, list[str]]) -> list[Mapping[str, Any]]:
        filters = [{"Name": name, "Values": values} for name, values in names.items()]
        pages = self._ec2.get_paginator(operation).paginate(Filters=filters)
        return [each for page in pages for each in page[kind]]


def lets_in(group: Mapping[str, Any], port: int, clients: Collection[str]) -> bool:
    """Whether a security group lets in on a TCP port the groups `clients`, or anybody by address: whom is not looked
    at."""
    return any(
        each["IpProtocol"] == "-1" or (each["IpProtocol"] == "tcp" and each["FromPort"] <= port <= each["ToPort"])
        for each in group["IpPermissions"]
        if each["IpRanges"] or any(pair["GroupId"] in clients for pair in each["UserIdGroupPairs"])
    )


def _subnet(described: Mapping[str, Any], table: Mapping[str, Any]) -> Subnet:
    routes = [each for each in table["Routes"] if each.get("DestinationCidrBlock") == "0.0.0.0/0"]
    return Subnet(
        id=described["SubnetId"],
        vpc_id=described["VpcId"],
        zone=described["AvailabilityZone"],
        free=described["AvailableIpAddressCount"],
        public=any(each.get("GatewayId", "").startswith("igw-") for each in routes),
        # Also a transit gateway, or a machine that forwards: whatever leads out and is no internet gateway.
        has_nat=any(not each.get("GatewayId", "").startswith("igw-") for each in routes),
        table=table["RouteTableId"],
    )


def _endpoint(described: Mapping[str, Any], own: Collection[str]) -> Endpoint:
    is_gateway = described["VpcEndpointType"] == "Gateway"
    return Endpoint(
        id=described["VpcEndpointId"],
        service=described["ServiceName"],
        is_gateway=is_gateway,
        tables=frozenset(described.get("RouteTableIds", ())),
        groups=frozenset(each["GroupId"] for each in described.get("Groups", ())),
        private_dns=not is_gateway and described.get("PrivateDnsEnabled", False),
        policy=json.loads(described.get("PolicyDocument") or "{}"),
        own=described["VpcEndpointId"] in own,
    )


def refused(policy: Mapping[str, Any], needed: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of `needed` (action and ARN) that no statement of an endpoint's policy allows, or that one denies, without
    regard to conditions. An endpoint without a policy admits all."""
    statements = [each for each in _list(policy.get("Statement", [])) if "Condition" not in each or _allows(each)]
    return [
        (action, arn)
        for action, arn in needed
        if statements
        and (
            not any(_allows(each) and _covers(each, action, arn) for each in statements)
            or any(not _allows(each) and _covers(each, action, arn) for each in statements)
        )
    ]


def _allows(statement: Mapping[str, Any]) -> bool:
    return bool(statement["Effect"] == "Allow")


def _covers(statement: Mapping[str, Any], action: str, arn: str) -> bool:
    return _names(statement, "Action", action.lower()) and _names(statement, "Resource", arn)


def _names(statement: Mapping[str, Any], element: str, wanted: str) -> bool:
    if f"Not{element}" in statement:
        return not _names({element: statement[f"Not{element}"]}, element, wanted)
    patterns = [each.lower() if element == "Action" else each for each in _list(statement[element])]
    return any(re.fullmatch(_pattern(each), wanted) for each in patterns)


def _pattern(text: str) -> str:
    return re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
