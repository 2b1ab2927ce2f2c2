"""What the check finds about the VPC before a deployment, on moto's EC2."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from check.deployment import Deployment
from check.placement import Placement
from check.vpc import check_topic, check_vpc
from shared import aws
from shared.record_type import RecordType

from tests.unit.upload_samples import ENVIRONMENT

S3, SECRETS = (f"com.amazonaws.us-east-1.{service}" for service in ("s3", "secretsmanager"))
LEDGER = "com.amazonaws.us-east-1.managedblockchain.n-abc"
ZONES = ("us-east-1a", "us-east-1b")
STACK = "OffChainStack"


@dataclass
class World:
    """A VPC with two private subnets that have a way out, and what a deployment's settings say of it."""

    ec2: Any
    vpc: str
    subnets: list[str]
    tables: list[str]
    group: str
    settings: dict[str, Any] = field(default_factory=dict)

    def endpoint(self, service: str, *, policy: Any = None, private_dns: bool = True) -> str:
        more: dict[str, Any] = (
            {"VpcEndpointType": "Gateway", "RouteTableIds": self.tables}
            if service == S3
            else {
                "VpcEndpointType": "Interface",
                "SubnetIds": self.subnets,
                "SecurityGroupIds": [self.group],
                "PrivateDnsEnabled": private_dns,
            }
        )
        if policy:
            more["PolicyDocument"] = json.dumps({"Version": "2012-10-17", "Statement": policy})
        made = self.ec2.create_vpc_endpoint(VpcId=self.vpc, ServiceName=service, **more)
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def let_in(self, port: int, **whom: Any) -> None:
        source = whom or {"IpRanges": [{"CidrIp": "10.0.0.0/16"}]}
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **source}
        self.ec2.authorize_security_group_ingress(GroupId=self.group, IpPermissions=[rule])

    def no_way_out(self) -> None:
        for table in self.tables:
            self.ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")

    def found(self, *, service: str | None = None, bucket: str | None = None, **settings: Any) -> list[str]:
        values = self.settings | settings
        deployment = Deployment(
            network={"tlsRoots": "-----BEGIN CERTIFICATE-----"},
            msp_id="Org1MSP",
            users={"lambdaUser": {"certificate": "dev/signcert", "privateKey": "dev/pk"}},
            record_types=(RecordType.from_json(ENVIRONMENT["RECORD_TYPE"]),),
            settings={},
            keys={},
            bucket=bucket,
            placement=Placement.from_values(values),
        )
        return [str(finding) for finding in check_vpc(deployment, service)]

    def wrong(self, **settings: Any) -> list[str]:
        return [line for line in self.found(**settings) if not line.startswith("ok ")]


@pytest.fixture
def world(aws_emulation: None) -> Iterator[World]:
    ec2 = boto3.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    subnets, tables = [], []
    for number, zone in enumerate(ZONES):
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=zone)["Subnet"]
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet["SubnetId"])
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        nat = ec2.create_nat_gateway(SubnetId=subnet["SubnetId"], AllocationId=address)["NatGateway"]["NatGatewayId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
        subnets.append(subnet["SubnetId"])
        tables.append(table)
    group = ec2.create_security_group(GroupName="endpoints", Description="endpoints", VpcId=vpc)["GroupId"]
    world = World(ec2=ec2, vpc=vpc, subnets=subnets, tables=tables, group=group)
    world.settings = {
        "id": vpc,
        "stack": STACK,
        "subnets": [
            {"id": subnet, "zone": zone, "table": table}
            for subnet, zone, table in zip(subnets, ZONES, tables, strict=True)
        ],
        "s3Endpoint": "create",
        "secretsManagerEndpoint": "create",
        "fabricEndpoint": None,
        "securityGroups": None,
        "interfaces": 6,
        "dnsServers": None,
        "prefixList": None,
    }
    yield world
    for each in ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["VpcEndpoints"]:
        ec2.delete_vpc_endpoints(VpcEndpointIds=[each["VpcEndpointId"]])


def the_only(found: list[str], *parts: str) -> str:
    (line,) = found
    for part in parts:
        assert part in line, line
    return line


def test_nothing_is_wrong_with_an_empty_vpc(world: World) -> None:
    found = world.found()
    assert not world.wrong()
    assert found[0] == f"ok       offchain.vpcId {world.vpc}: exists."
    assert any("is in us-east-1a, " in line and "addresses free" in line for line in found)
    (hint,) = [line for line in found if "s3PrefixListId" in line]
    assert "may be pl-" in hint


def test_a_vpc_that_does_not_exist(world: World) -> None:
    the_only(
        world.found(id="vpc-0123456789abcdef0"),
        "ERROR    offchain.vpcId vpc-0123456789abcdef0: does not exist in us-east-1",
    )


def test_what_may_not_be_asked_is_skipped_and_the_rest_is_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "not you"}}, "DescribeVpcEndpoints")

    client = aws.client("ec2")
    known = client.get_paginator

    def paginator(name: str) -> Any:
        if name == "describe_vpc_endpoints":
            denied()
        return known(name)

    monkeypatch.setattr(client, "get_paginator", paginator)
    found = world.found()
    assert not [line for line in found if line.startswith("ERROR")]
    assert (
        f"skipped  offchain.vpcId {world.vpc}: EC2 does not say all that is asked: UnauthorizedOperation: not you."
        in (" ".join(found))
    )
    assert [line for line in found if "asks Amazon's DNS" in line]
    monkeypatch.setattr(client, "describe_vpcs", denied)
    the_only(world.found(), f"skipped  offchain.vpcId {world.vpc}: EC2 does not say", "ec2:Describe*")


class TestDns:
    @pytest.mark.parametrize("name", ["EnableDnsSupport", "EnableDnsHostnames"])
    def test_an_attribute_that_is_off(self, world: World, name: str) -> None:
        world.ec2.modify_vpc_attribute(VpcId=world.vpc, **{name: {"Value": False}})
        option = {"EnableDnsSupport": "--enable-dns-support", "EnableDnsHostnames": "--enable-dns-hostnames"}[name]
        the_only(
            world.wrong(),
            f"has {name[0].lower()}{name[1:]} off",
            f"aws ec2 modify-vpc-attribute --vpc-id {world.vpc} {option}",
        )

    def own_servers(self, world: World, *servers: str) -> None:
        options = world.ec2.create_dhcp_options(
            DhcpConfigurations=[{"Key": "domain-name-servers", "Values": list(servers)}]
        )
        world.ec2.associate_dhcp_options(DhcpOptionsId=options["DhcpOptions"]["DhcpOptionsId"], VpcId=world.vpc)

    def test_own_servers_that_the_functions_are_not_let_out_to(self, world: World) -> None:
        self.own_servers(world, "10.0.0.10", "10.0.1.10")
        the_only(world.wrong(), "ERROR", "10.0.0.10, 10.0.1.10", 'Set dnsServers to ["10.0.0.10", "10.0.1.10"]')
        the_only(world.wrong(dnsServers=["10.0.0.10"]), "ERROR")

    def test_own_servers_have_to_know_the_endpoints(self, world: World) -> None:
        self.own_servers(world, "10.0.0.10")
        the_only(world.wrong(dnsServers=["10.0.0.10"]), "warning", "forward amazonaws.com")

    def test_amazons_beside_others_in_the_options(self, world: World) -> None:
        self.own_servers(world, "AmazonProvidedDNS")
        assert not world.wrong()


class TestSubnets:
    def test_of_another_vpc_or_none(self, world: World) -> None:
        named = [*world.settings["subnets"][:1], {"id": "subnet-0aa", "zone": ZONES[1], "table": "rtb-0aa"}]
        the_only(
            world.wrong(subnets=named), "ERROR    offchain.subnetIds subnet-0aa: is not a subnet of", world.subnets[0]
        )

    def test_in_another_zone(self, world: World) -> None:
        named = [each | {"zone": ZONES[0]} for each in world.settings["subnets"]]
        line = the_only(world.wrong(subnets=named), f"{world.subnets[1]} is in us-east-1b, not in us-east-1a")
        assert line.startswith("ERROR    offchain.availabilityZones: ")

    def test_with_another_route_table(self, world: World) -> None:
        named = [each | {"table": world.tables[0]} for each in world.settings["subnets"]]
        the_only(
            world.wrong(subnets=named),
            f"ERROR    offchain.routeTableIds: {world.subnets[1]} has route table {world.tables[1]}, not",
            world.tables[0],
        )

    def test_without_a_table_of_their_own_have_the_vpcs(self, world: World) -> None:
        subnet = world.ec2.create_subnet(VpcId=world.vpc, CidrBlock="10.0.9.0/24", AvailabilityZone=ZONES[0])["Subnet"]
        (main,) = world.ec2.describe_route_tables(
            Filters=[{"Name": "vpc-id", "Values": [world.vpc]}, {"Name": "association.main", "Values": ["true"]}]
        )["RouteTables"]
        named = {"id": subnet["SubnetId"], "zone": ZONES[0], "table": main["RouteTableId"]}
        assert not world.wrong(subnets=[named])

    def small(self, world: World) -> list[dict[str, str]]:
        subnet = world.ec2.create_subnet(VpcId=world.vpc, CidrBlock="10.0.9.0/28", AvailabilityZone=ZONES[0])["Subnet"]
        world.ec2.associate_route_table(RouteTableId=world.tables[0], SubnetId=subnet["SubnetId"])
        return [{"id": subnet["SubnetId"], "zone": ZONES[0], "table": world.tables[0]}]

    def test_with_too_few_addresses(self, world: World) -> None:
        named = self.small(world)
        assert not world.wrong(subnets=named, interfaces=10)
        # Eleven are free, and the endpoint takes one.
        the_only(
            world.wrong(subnets=named, interfaces=11), "has 11 addresses free", "need 12 there", "securityGroupIds"
        )
        assert not world.wrong(subnets=named, interfaces=11, secretsManagerEndpoint="keep")

    def test_those_of_an_earlier_deployment_count(self, world: World) -> None:
        named = self.small(world)
        for number in range(6):
            world.ec2.create_network_interface(
                SubnetId=named[0]["id"], Description=f"AWS Lambda VPC ENI-{STACK}-Function{number}-1a2b"
            )
        assert not world.wrong(subnets=named, interfaces=10)
        (line,) = world.wrong(subnets=named, interfaces=10, stack="Another")
        assert "has 5 addresses free, and functions and endpoints need 11" in line

    def test_looked_up_ones_are_the_private_ones(self, world: World) -> None:
        assert sum("addresses free" in line for line in world.found(subnets=None)) == 2
        assert not world.wrong(subnets=None)

    def test_only_public_ones(self, world: World) -> None:
        world.no_way_out()
        (gateway,) = world.ec2.describe_internet_gateways(
            Filters=[{"Name": "attachment.vpc-id", "Values": [world.vpc]}]
        )["InternetGateways"]
        for table in world.tables:
            world.ec2.create_route(
                RouteTableId=table,
                DestinationCidrBlock="0.0.0.0/0",
                GatewayId=gateway["InternetGatewayId"],
            )
        the_only(world.wrong(subnets=None), "has only public subnets", "availabilityZones, subnetIds and routeTableIds")
        # Named, they are fine as long as endpoints lead to everything.
        assert not world.wrong()
        lines = world.wrong(s3Endpoint="keep", secretsManagerEndpoint="keep")
        assert [line.partition(":")[0] for line in lines] == [
            f"ERROR    offchain.s3Endpoint {world.tables[0]}",
            f"ERROR    offchain.s3Endpoint {world.tables[1]}",
            "ERROR    offchain.secretsManagerEndpoint",
        ]


def test_security_groups_of_another_vpc(world: World) -> None:
    assert not world.wrong(securityGroups=[world.group])
    the_only(
        world.wrong(securityGroups=["sg-0123456789abcdef0"]), "ERROR    offchain.securityGroupIds sg-0123456789abcdef0"
    )


class TestTheS3Endpoint:
    def test_a_second_one_on_a_route_table(self, world: World) -> None:
        endpoint = world.endpoint(S3)
        lines = world.wrong()
        assert len(lines) == 2
        assert f"has S3 endpoint {endpoint} already, and a route table takes one. Set s3Endpoint to keep" in lines[0]

    def test_one_that_is_kept(self, world: World) -> None:
        world.endpoint(S3)
        assert not world.wrong(s3Endpoint="keep")

    def test_none_to_keep(self, world: World) -> None:
        assert not world.wrong(s3Endpoint="keep")  # by the NAT gateways
        world.no_way_out()
        lines = world.wrong(s3Endpoint="keep")
        assert all("leads to S3 by no way. Set s3Endpoint to create" in line for line in lines)
        assert len(lines) == 2

    def test_a_policy_that_does_not_admit_the_bucket(self, world: World) -> None:
        other = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::other/*"}
        world.endpoint(S3, policy=other)
        line = world.wrong(s3Endpoint="keep", bucket="pictures")[0]
        assert "does not admit s3:DeleteObjectVersion on arn:aws:s3:::pictures/ngo-donor-images/... and 6 more" in line
        assert "admittedBuckets" in line

    def test_a_policy_that_admits_it(self, world: World) -> None:
        arn = "arn:aws:s3:::pictures"
        named = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:*Object*", "s3:List*"],
            "Resource": [arn, f"{arn}/*"],
        }
        world.endpoint(S3, policy=named)
        assert not world.wrong(s3Endpoint="keep", bucket="pictures")

    def test_a_policy_that_admits_the_bucket_to_be_made(self, world: World) -> None:
        arn = "arn:aws:s3:::offchainstack-*"
        world.endpoint(S3, policy={"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": arn})
        assert not world.wrong(s3Endpoint="keep")
        assert world.wrong(s3Endpoint="keep", stack="Another")

    @pytest.mark.parametrize("condition", [{}, {"StringNotEquals": {"aws:PrincipalAccount": "123456789012"}}])
    def test_a_policy_that_denies_it(self, world: World, condition: dict[str, Any]) -> None:
        everything = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
        deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "NotResource": "arn:aws:s3:::other/*"}
        world.endpoint(S3, policy=[everything, deny | ({"Condition": condition} if condition else {})])
        lines = world.wrong(s3Endpoint="keep", bucket="pictures")
        # One with a condition, such as on other accounts, may not mean the functions.
        assert ["does not admit s3:PutObject on" in line for line in lines] == ([] if condition else [True, True])


def deploy(world: World) -> None:
    """The endpoints of an earlier deployment of the same stack."""
    resources = {
        "S3": {"VpcEndpointType": "Gateway", "ServiceName": S3, "RouteTableIds": world.tables},
        "Secrets": {
            "VpcEndpointType": "Interface",
            "ServiceName": SECRETS,
            "SubnetIds": world.subnets,
            "PrivateDnsEnabled": True,
            "SecurityGroupIds": [world.group],
        },
    }
    template = {
        "Resources": {
            name: {"Type": "AWS::EC2::VPCEndpoint", "Properties": {"VpcId": world.vpc, **properties}}
            for name, properties in resources.items()
        }
    }
    boto3.client("cloudformation").create_stack(StackName=f"{STACK}2", TemplateBody=json.dumps(template))


def test_the_deployments_own_endpoints_are_no_conflict(world: World) -> None:
    deploy(world)
    assert len(world.wrong()) == 3
    assert not world.wrong(stack=f"{STACK}2")


@pytest.mark.parametrize(
    ("setting", "service", "port"),
    [("secretsManagerEndpoint", SECRETS, 443), ("fabricEndpoint", LEDGER, 30_001)],
)
class TestInterfaceEndpoints:
    def test_a_second_one_with_private_dns(self, world: World, setting: str, service: str, port: int) -> None:
        endpoint = world.endpoint(service)
        line = the_only(
            world.wrong(service=LEDGER, **{setting: "create"}), f"ERROR    offchain.{setting}: ", "and takes one"
        )
        assert f'Set it to {{"id": "{endpoint}", "securityGroupId": "{world.group}"}}' in line

    def test_one_without_private_dns_is_in_nobodys_way(
        self, world: World, setting: str, service: str, port: int
    ) -> None:
        world.endpoint(service, private_dns=False)
        assert not world.wrong(service=LEDGER, **{setting: "create"})

    def test_one_that_is_used(self, world: World, setting: str, service: str, port: int) -> None:
        used = {"id": world.endpoint(service), "securityGroupId": world.group}
        assert not world.wrong(service=LEDGER, **{setting: used})

    def test_one_of_another_service(self, world: World, setting: str, service: str, port: int) -> None:
        right, wrong = world.endpoint(service), world.endpoint("com.amazonaws.us-east-1.sts")
        lines = world.wrong(service=LEDGER, **{setting: {"id": wrong, "securityGroupId": world.group}})
        the_only(lines, f"{wrong} leads to com.amazonaws.us-east-1.sts, and {service} is meant", f'"id": "{right}"')

    def test_one_that_does_not_exist(self, world: World, setting: str, service: str, port: int) -> None:
        used = {"id": "vpce-0aa", "securityGroupId": world.group}
        the_only(world.wrong(service=LEDGER, **{setting: used}), f"vpce-0aa is no endpoint of {world.vpc}", "create")

    def test_one_behind_another_group(self, world: World, setting: str, service: str, port: int) -> None:
        used = {"id": world.endpoint(service), "securityGroupId": "sg-0123456789abcdef0"}
        the_only(world.wrong(service=LEDGER, **{setting: used}), "does not guard", f"Name one of {world.group}")

    def test_one_without_private_dns(self, world: World, setting: str, service: str, port: int) -> None:
        used = {"id": world.endpoint(service, private_dns=False), "securityGroupId": world.group}
        the_only(world.wrong(service=LEDGER, **{setting: used}), "has no private DNS name", "--private-dns-enabled")

    def test_one_that_is_kept_lets_in_whom_its_groups_do(
        self, world: World, setting: str, service: str, port: int
    ) -> None:
        endpoint = world.endpoint(service)
        line = the_only(world.wrong(service=LEDGER, **{setting: "keep"}), f"do not let the functions in on port {port}")
        assert f'"id": "{endpoint}"' in line
        world.let_in(port, UserIdGroupPairs=[{"GroupId": world.group}])
        assert world.wrong(service=LEDGER, **{setting: "keep"})
        assert not world.wrong(service=LEDGER, **{setting: "keep"}, securityGroups=[world.group])
        world.let_in(port)
        assert not world.wrong(service=LEDGER, **{setting: "keep"})

    def test_none_to_keep(self, world: World, setting: str, service: str, port: int) -> None:
        assert not world.wrong(service=LEDGER, **{setting: "keep"})  # by the NAT gateways
        world.no_way_out()
        the_only(world.wrong(service=LEDGER, **{setting: "keep"}), f"lead to {service} by no way", "Set it to create")


def test_a_policy_that_does_not_admit_the_secrets(world: World) -> None:
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:dev/signcert-??????"
    policy = {"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": arn}
    used = {"id": world.endpoint(SECRETS, policy=policy), "securityGroupId": world.group}
    the_only(world.wrong(secretsManagerEndpoint=used), "secret:dev/pk-a1B2c3", "admittedSecrets")


def test_the_prefix_list(world: World) -> None:
    (hint,) = [line for line in world.found() if "s3PrefixListId" in line]
    right = hint.partition("may be ")[2].partition(":")[0]
    assert f"ok       offchain.s3PrefixListId: {right} is S3's." in world.found(prefixList=right)
    the_only(world.wrong(prefixList="pl-0aa"), "pl-0aa is not the prefix list of", f"Set it to {right}")


def test_a_topic_of_another_region(aws_emulation: None) -> None:
    def topic(region: str) -> str:
        return str(check_topic("offchain.alarmTopicArn", f"arn:aws:sns:{region}:111122223333:on-call"))

    assert topic("us-east-1") == "ok       offchain.alarmTopicArn: is a topic in us-east-1."
    assert topic("eu-west-1").startswith(
        "ERROR    offchain.alarmTopicArn: is a topic in eu-west-1, and alarms of us-east-1"
    )
