"""Where the functions may connect to: what each needs, as narrowly as that is known when the stack is made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from ec2 import Vpc
from stack_template import Template
from test_constructs import PEM, foreign, network

from offchain_stack import ChaincodeFunction, Endpoint, FabricNetwork, OffChainRecords, OffChainStack, Settings

Synthesize = Callable[[Callable[[cdk.App], None]], dict[str, Template]]
ANYBODY, PREFIX_LIST = "0.0.0.0/0:443", "pl-63a5400a"
MEMBER = {"networkId": "n-ABC", "memberId": "m-ABC", "nodeIds": ["nd-ABC"]}
SIGNING = {"invoke_chaincode", "query_ledger", "sweep", "verify_all"}


def ways(template: Template) -> dict[str, set[str]]:
    """By function, `destination:port` of what its groups let it out to; an endpoint's group has the service's name."""
    vpc = Vpc({})
    functions = vpc.deploy(template, "Stack")
    services = {group: each.service.split(".")[3] for each in vpc.endpoints for group in each.groups}

    def way(rule: Any) -> str:
        protocol = "" if rule.protocol == "tcp" else f" {rule.protocol}"
        ports = "-".join(str(port) for port in dict.fromkeys(rule.ports))
        return f"{services.get(rule.other, rule.other)}:{ports}{protocol}"

    return {
        function.handler: {way(rule) for rule in vpc.rules if rule.group in function.groups and rule.direction == "out"}
        for function in functions
    }


def records(synthesize: Synthesize, made: Callable[[cdk.Stack, ec2.Vpc], FabricNetwork], **props: Any) -> Any:
    def build(app: cdk.App) -> None:
        stack, vpc = foreign(app)
        if "s3_prefix_list" in props:
            props["s3_prefix_list"] = ec2.PrefixList.from_prefix_list_id(stack, "S3", PREFIX_LIST)
        OffChainRecords(stack, "Records", vpc=vpc, network=made(stack, vpc), **props)

    return ways(synthesize(build)["Foreign"])


def test_where_all_is_known_nothing_reaches_any_address(synthesize: Synthesize) -> None:
    nodes: dict[str, Any] = {
        "peers": [Endpoint(address="10.0.12.7:7051", tls_hostname="peer0.example.com")],
        "orderers": [Endpoint(address="10.0.12.8:7050")],
    }
    found = records(synthesize, lambda stack, vpc: network(stack, vpc=vpc, **nodes), s3_prefix_list=True)
    ledger, secrets, s3 = {"10.0.12.7/32:7051", "10.0.12.8/32:7050"}, "secretsmanager:443", f"{PREFIX_LIST}:443"
    assert found == {
        "upload_object": {secrets, s3},
        "verify_object": {s3},
        "invoke_chaincode": {secrets, *ledger},
        "query_ledger": {secrets, *ledger},
        "sweep": {secrets, s3, *ledger},
        "verify_all": {secrets, s3, *ledger},
    }


def test_names_of_nodes_may_be_any_address_but_not_any_port(synthesize: Synthesize) -> None:
    found = records(synthesize, lambda stack, vpc: network(stack, vpc=vpc), s3_prefix_list=True)
    assert found["invoke_chaincode"] == {"secretsmanager:443", "0.0.0.0/0:7050", "0.0.0.0/0:7051"}


def test_the_nodes_behind_an_endpoint_are_reached_through_it_alone(synthesize: Synthesize) -> None:
    def made(stack: cdk.Stack, vpc: ec2.Vpc) -> FabricNetwork:
        return FabricNetwork.from_managed_blockchain(
            stack,
            "Network",
            network_id="n-ABC",
            member_id="m-ABC",
            node_ids=["nd-ABC"],
            vpc=vpc,
            channel="mychannel",
            chaincode="ngo",
            users=network(cdk.Stack(), msp_id="Org1MSP").users,
        )

    found = records(synthesize, made, s3_prefix_list=True)
    expected = {"secretsmanager:443", f"{PREFIX_LIST}:443", "managedblockchain:30001-30999"}
    assert {handler: found[handler] for handler in SIGNING} == dict.fromkeys(SIGNING, expected)


def test_s3_is_not_among_them_where_nothing_is_there_to_be_read(synthesize: Synthesize) -> None:
    def build(tls_roots: str) -> set[str]:
        def make(app: cdk.App) -> None:
            stack, vpc = foreign(app)
            ledger = network(stack, vpc=vpc, tls_roots=tls_roots)
            ChaincodeFunction(stack, "Chaincode", vpc=vpc, network=ledger)

        return ways(synthesize(make)["Foreign"])["invoke_chaincode"]

    assert ANYBODY not in build(PEM)
    assert ANYBODY in build("s3://chains/tls.pem")


def test_the_way_is_open_where_it_is_not_known(synthesize: Synthesize) -> None:
    found = records(synthesize, lambda stack, vpc: network(stack), s3_prefix_list=True)
    assert found["invoke_chaincode"] == {ANYBODY, "0.0.0.0/0:7050", "0.0.0.0/0:7051"}


def test_an_existing_endpoint_for_secrets_is_reached_by_its_group(synthesize: Synthesize) -> None:
    def made(stack: cdk.Stack, vpc: ec2.Vpc) -> FabricNetwork:
        group = ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-00000aaa")
        endpoint = ec2.InterfaceVpcEndpoint.from_interface_vpc_endpoint_attributes(
            stack, "Existing", port=443, vpc_endpoint_id="vpce-0aa", security_groups=[group]
        )
        return network(stack, secrets_endpoint=endpoint)

    found = records(synthesize, made, s3_prefix_list=True)
    assert "sg-00000aaa:443" in found["upload_object"]
    assert {handler for handler in SIGNING if ANYBODY in found[handler]} == set()


def test_own_dns_servers_are_reached_by_both_protocols(synthesize: Synthesize) -> None:
    found = records(synthesize, lambda stack, vpc: network(stack), dns_servers=["10.0.0.2", "10.1.0.0/28"])
    expected = {f"{server}:53{protocol}" for server in ("10.0.0.2/32", "10.1.0.0/28") for protocol in ("", " udp")}
    for handler, found_ways in found.items():
        assert {each for each in found_ways if ":53" in each} == expected, handler


@pytest.mark.parametrize("server", ["dns.example.com", "10.0.0.300", "10.0.0.1/8", ""])
def test_a_dns_server_that_is_no_address_is_named(server: str) -> None:
    stack, vpc = foreign(cdk.App(context={"aws:cdk:bundling-stacks": []}))
    with pytest.raises(ValueError, match=r"^dns_servers: "):
        ChaincodeFunction(stack, "Chaincode", vpc=vpc, network=network(stack), dns_servers=[server])


class TestSettings:
    def found(self, synthesize: Synthesize, values: dict[str, Any]) -> Any:
        settings = Settings.from_values(values)
        return ways(synthesize(lambda app: OffChainStack(app, "Stack", settings=settings) and None)["Stack"])

    def test_prefix_list_dns_servers_and_an_existing_endpoint(
        self, synthesize: Synthesize, values: dict[str, Any]
    ) -> None:
        given = {
            "s3PrefixListId": PREFIX_LIST,
            "dnsServers": ["10.0.0.2"],
            "secretsManagerEndpoint": {"id": "vpce-0aa", "securityGroupId": "sg-00000aaa"},
        }
        found = self.found(synthesize, values | given)
        assert found["upload_object"] == {
            "sg-00000aaa:443",
            f"{PREFIX_LIST}:443",
            "10.0.0.2/32:53",
            "10.0.0.2/32:53 udp",
        }
        assert not [handler for handler, each in found.items() if ANYBODY in each]

    def test_the_functions_are_let_into_the_existing_endpoint(
        self, synthesize: Synthesize, values: dict[str, Any]
    ) -> None:
        endpoint = {"secretsManagerEndpoint": {"id": "vpce-0aa", "securityGroupId": "sg-00000aaa"}}
        settings = Settings.from_values(values | endpoint)
        template = synthesize(lambda app: OffChainStack(app, "Stack", settings=settings) and None)["Stack"]
        vpc = Vpc({})
        functions = vpc.deploy(template, "Stack")
        let_in = {rule.other for rule in vpc.rules if (rule.group, rule.direction) == ("sg-00000aaa", "in")}
        assert let_in == {group for each in functions if each.handler != "verify_object" for group in each.groups}
        assert not [each for each in vpc.endpoints if each.service.endswith("secretsmanager")]

    def test_the_prefix_list_is_looked_up_with_the_vpc(self, values: dict[str, Any], tmp_path: Path) -> None:
        named = ("availabilityZones", "subnetIds", "routeTableIds")
        looked_up = {key: value for key, value in values.items() if key not in named}
        looked_up |= {"account": "111122223333", "region": "us-east-1"}

        def missing(**more: Any) -> bool:
            app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir=str(tmp_path / str(len(more))))
            OffChainStack(app, "Stack", settings=Settings.from_values(looked_up | more))
            manifest = Path(app.synth().directory) / "manifest.json"
            return "com.amazonaws.us-east-1.s3" in manifest.read_text("utf-8")

        assert missing()
        # The way to S3 is not known to be the gateway.
        assert not missing(s3Endpoint="keep")
