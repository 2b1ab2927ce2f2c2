"""Mistakes that are visible at synth are said there, and not by a deployment that fails or by requests that do."""

from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_s3 as s3
from constructs import Construct
from stack_template import Template
from test_constructs import foreign, network

from offchain_stack import (
    ChaincodeFunction,
    CreateWorkflow,
    FabricNetwork,
    OffChainRecords,
    OffChainStack,
    OffChainStore,
    Settings,
    SweepFunction,
    UploadFunction,
)

Synthesize = Callable[[Callable[[cdk.App], None]], dict[str, Template]]
Build = Callable[[cdk.Stack, ec2.Vpc], object]
CONTEXT = {"aws:cdk:bundling-stacks": []}


def stack_and_vpc() -> tuple[cdk.Stack, ec2.Vpc]:
    return foreign(cdk.App(context=CONTEXT))


def part(scope: Construct, id: str) -> Construct:
    return Construct(scope, id)


def managed(scope: Construct, id: str, vpc: ec2.IVpc, *, network_id: str = "n-ABC", secrets: bool = False) -> None:
    FabricNetwork.from_managed_blockchain(
        scope,
        id,
        network_id=network_id,
        member_id="m-ABC",
        node_ids=["nd-ABC"],
        vpc=vpc,
        create_secrets_endpoint=secrets,
        channel="mychannel",
        chaincode="ngo",
        users=network(cdk.Stack()).users,
    )


CONFLICTS: dict[str, tuple[Build, Build, str]] = {
    "two stores": (
        lambda stack, vpc: OffChainStore(stack, "First", vpc=vpc),
        lambda stack, vpc: OffChainStore(stack, "Second", vpc=vpc),
        "^keep_endpoint: a route table takes one S3 endpoint, and there is one at Foreign/First/",
    ),
    "two record types that each make a store": (
        lambda stack, vpc: OffChainRecords(stack, "First", vpc=vpc, network=network(part(stack, "A"))),
        lambda stack, vpc: OffChainRecords(stack, "Second", vpc=vpc, network=network(part(stack, "B"))),
        "^keep_endpoint: ",
    ),
    "a store beside an S3 endpoint of the app's own": (
        lambda stack, vpc: vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3),
        lambda stack, vpc: OffChainStore(stack, "Store", vpc=vpc),
        "^keep_endpoint: a route table takes one S3 endpoint, and there is one at Foreign/Vpc/S3",
    ),
    "two networks with an endpoint for secrets": (
        lambda stack, vpc: network(part(stack, "A"), vpc=vpc),
        lambda stack, vpc: network(part(stack, "B"), vpc=vpc),
        "^vpc: a VPC takes one endpoint with a service's private DNS name, and there is one at Foreign/A/Network/",
    ),
    "a network beside an endpoint of the app's own": (
        lambda stack, vpc: vpc.add_interface_endpoint(
            "Secrets", service=ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER
        ),
        lambda stack, vpc: network(stack, vpc=vpc),
        "^vpc: .* there is one at Foreign/Vpc/Secrets",
    ),
    "two endpoints to one Managed Blockchain network": (
        lambda stack, vpc: managed(stack, "First", vpc),
        lambda stack, vpc: managed(stack, "Second", vpc),
        "^fabric_endpoint: ",
    ),
}
FITTING: dict[str, tuple[Build, Build]] = {
    "a store that keeps the endpoint": (
        lambda stack, vpc: OffChainStore(stack, "First", vpc=vpc),
        lambda stack, vpc: OffChainStore(stack, "Second", vpc=vpc, keep_endpoint=True),
    ),
    "stores on other route tables": (
        lambda stack, vpc: OffChainStore(stack, "First", vpc=vpc),
        lambda stack, vpc: OffChainStore(
            stack, "Second", vpc=vpc, subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)
        ),
    ),
    "stores in other VPCs": (
        lambda stack, vpc: OffChainStore(stack, "First", vpc=vpc),
        lambda stack, vpc: OffChainStore(stack, "Second", vpc=ec2.Vpc(stack, "Other", max_azs=2)),
    ),
    "endpoints of other services": (
        lambda stack, vpc: vpc.add_gateway_endpoint("Table", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
        lambda stack, vpc: (OffChainStore(stack, "Store", vpc=vpc), network(stack, vpc=vpc)),
    ),
    "an interface endpoint without private DNS": (
        lambda stack, vpc: vpc.add_interface_endpoint(
            "Secrets", service=ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER, private_dns_enabled=False
        ),
        lambda stack, vpc: network(stack, vpc=vpc),
    ),
    "two Managed Blockchain networks": (
        lambda stack, vpc: managed(stack, "First", vpc),
        lambda stack, vpc: managed(stack, "Second", vpc, network_id="n-DEF"),
    ),
}


class TestEndpoints:
    @pytest.mark.parametrize(("first", "second", "says"), CONFLICTS.values(), ids=CONFLICTS)
    def test_what_cannot_exist_beside_each_other_is_refused(self, first: Build, second: Build, says: str) -> None:
        stack, vpc = stack_and_vpc()
        first(stack, vpc)
        with pytest.raises(ValueError, match=says):
            second(stack, vpc)

    @pytest.mark.parametrize(("first", "second"), FITTING.values(), ids=FITTING)
    def test_what_can_is_not(self, synthesize: Synthesize, first: Build, second: Build) -> None:
        def build(app: cdk.App) -> None:
            stack, vpc = foreign(app)
            first(stack, vpc)
            second(stack, vpc)

        assert synthesize(build)

    def test_one_that_is_made_later_by_somebody_else_ends_synth(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack, vpc = foreign(app)
            OffChainStore(stack, "Store", vpc=vpc)
            vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)

        with pytest.raises(RuntimeError, match=r"\[Foreign/Store/S3Endpoint\] keep_endpoint: .* at Foreign/Vpc/S3"):
            synthesize(build)

    def test_stacks_that_share_a_vpc_of_the_app_are_seen(self) -> None:
        app = cdk.App(context=CONTEXT)
        first, vpc = foreign(app)
        OffChainStore(first, "Store", vpc=vpc)
        with pytest.raises(ValueError, match="at Foreign/Store/S3Endpoint"):
            OffChainStore(cdk.Stack(app, "Second"), "Store", vpc=vpc)

    def test_stacks_that_name_the_same_vpc_may_be_alternatives(self, values: dict[str, Any]) -> None:
        app = cdk.App(context=CONTEXT)
        _, second = (OffChainStack(app, name, settings=Settings.from_values(values)) for name in ("First", "Second"))
        said = list(annotations(second, "info").values())
        assert [each.partition(":")[0] for each in said] == ["keep_endpoint", "vpc"]
        assert all("First/" in each for each in said)


def annotations(stack: cdk.Stack, kind: str) -> dict[str, str]:
    """What is said at synth, by the path of the construct that says it."""
    return {
        each.node.path: str(entry.data)
        for each in stack.node.find_all()
        for entry in each.node.metadata
        if entry.type == f"aws:cdk:{kind}"
    }


def warnings(stack: cdk.Stack) -> list[str]:
    return list(annotations(stack, "warning").values())


class TestARestrictiveS3Endpoint:
    def test_on_looked_up_route_tables_is_said(self, values: dict[str, Any]) -> None:
        named = ("availabilityZones", "subnetIds", "routeTableIds")
        given = {key: value for key, value in values.items() if key not in named}
        given |= {"account": "111122223333", "region": "us-east-1"}
        stack = OffChainStack(cdk.App(context=CONTEXT), "Stack", settings=Settings.from_values(given))
        (said,) = warnings(stack)
        assert said.startswith("The S3 endpoint made here goes to rtb-")
        assert "keep the endpoint that the VPC has" in said

    @pytest.mark.parametrize("changes", [{}, {"s3Endpoint": "keep"}])
    def test_on_named_ones_or_none_is_not(self, changes: dict[str, Any], values: dict[str, Any]) -> None:
        settings = Settings.from_values(values | changes)
        assert not warnings(OffChainStack(cdk.App(context=CONTEXT), "Stack", settings=settings))

    def test_in_a_vpc_of_the_app_is_not(self) -> None:
        stack, vpc = stack_and_vpc()
        OffChainStore(stack, "Store", vpc=vpc)
        assert not warnings(stack)


class TestAnUnversionedBucket:
    @pytest.mark.parametrize("props", [{}, {"versioned": False}])
    def test_is_refused_by_the_store(self, props: dict[str, Any]) -> None:
        stack, vpc = stack_and_vpc()
        with pytest.raises(ValueError, match=r"^bucket: Foreign/Mine keeps no versions.*versioned=True"):
            OffChainStore(stack, "Store", vpc=vpc, bucket=s3.Bucket(stack, "Mine", **props))

    def test_is_refused_by_whatever_relies_on_versions(self) -> None:
        stack, vpc = stack_and_vpc()
        bucket, ledger = s3.Bucket(stack, "Mine"), network(stack)
        upload = UploadFunction(stack, "Upload", vpc=vpc, bucket=bucket, network=ledger)
        sweep = SweepFunction(stack, "Sweep", vpc=vpc, bucket=bucket, network=ledger)
        workflow = CreateWorkflow(
            stack,
            "Workflow",
            upload_function=upload.function,
            chaincode_function=sweep.function,
            bucket=bucket,
        )
        errors = annotations(stack, "error")
        assert set(errors) == {each.node.path for each in (upload, sweep, workflow)}
        assert all(text.startswith("bucket: Foreign/Mine keeps no versions") for text in errors.values())

    def test_one_that_keeps_them_or_is_not_known_is_taken(self) -> None:
        stack, vpc = stack_and_vpc()
        OffChainStore(stack, "Made", vpc=vpc, bucket=s3.Bucket(stack, "Mine", versioned=True))
        known = s3.Bucket.from_bucket_name(stack, "Theirs", "their-bucket")
        OffChainStore(stack, "Given", vpc=vpc, bucket=known, keep_endpoint=True)


class TestPublicSubnets:
    @pytest.mark.parametrize("public_only", [True, False])
    def test_are_refused_with_the_way_out(self, public_only: bool) -> None:
        stack = cdk.Stack(cdk.App(context=CONTEXT), "Foreign")
        public = ec2.SubnetConfiguration(name="public", subnet_type=ec2.SubnetType.PUBLIC)
        vpc = ec2.Vpc(stack, "Vpc", subnet_configuration=[public] if public_only else None)
        chosen = None if public_only else ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)
        with pytest.raises(ValueError, match=r"^subnets: a Lambda function in a public subnet.*from_vpc_attributes"):
            ChaincodeFunction(stack, "Chaincode", vpc=vpc, network=network(stack), subnets=chosen)

    def test_the_way_out_is_one(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Foreign")
            vpc = ec2.Vpc.from_vpc_attributes(
                stack,
                "Vpc",
                vpc_id="vpc-0123456789abcdef0",
                availability_zones=["us-east-1a"],
                private_subnet_ids=["subnet-0123456789abcdef0"],
            )
            ChaincodeFunction(stack, "Chaincode", vpc=vpc, network=network(stack))

        assert synthesize(build)


class TestNetwork:
    def test_two_ways_to_the_secrets_contradict_each_other(self) -> None:
        stack, vpc = stack_and_vpc()
        endpoint = ec2.InterfaceVpcEndpoint.from_interface_vpc_endpoint_attributes(
            stack, "Existing", port=443, vpc_endpoint_id="vpce-0123456789abcdef0"
        )
        with pytest.raises(ValueError, match=r"^secrets_endpoint: leave out the vpc"):
            network(stack, vpc=vpc, secrets_endpoint=endpoint)

    def test_only_an_endpoint_made_here_admits_others(self) -> None:
        stack, vpc = stack_and_vpc()
        with pytest.raises(ValueError, match=r"^secrets: no Secrets Manager endpoint is made here"):
            network(stack).admit_secrets(["other/pk"])
        with pytest.raises(ValueError, match=r"^names: the S3 endpoint is kept"):
            OffChainStore(stack, "Store", vpc=vpc, keep_endpoint=True).admit_buckets(["other"])
