"""FabricNetwork from each thing that users have: what the functions are told, and how they reach it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from cdklabs.cdk_hyperledger_fabric_network import HyperledgerFabricNetwork, HyperledgerFabricUserProps
from stack_template import Template, flat, of_type, only

from conftest import ROOT
from offchain_stack import ChaincodeFunction, ConnectionProfileError, FabricNetwork, FabricUser

Synthesize = Callable[[Callable[[cdk.App], None]], dict[str, Template]]
NETWORK, MEMBER = "n-ABCDEFGHIJKLMNOPQRSTUVWXYZ", "m-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NODES = ["nd-AAAAAAAAAAAAAAAAAAAAAAAAAA", "nd-BBBBBBBBBBBBBBBBBBBBBBBBBB"]
PEM = (ROOT / "examples" / "settings" / "networks" / "tls" / "org1.pem").read_text()
COMMON: dict[str, Any] = {
    "channel": "mychannel",
    "chaincode": "ngo",
    "users": [FabricUser.from_secret_names("lambdaUser", member="member1")],
}


def environment(template: Template, handler: str = "invoke_chaincode") -> dict[str, str]:
    (function,) = [
        each
        for each in of_type(template, "AWS::Lambda::Function").values()
        if each["Handler"].startswith(f"{handler}.")
    ]
    return {name: flat(value) for name, value in function["Environment"]["Variables"].items()}


def profile(folder: Path) -> Path:
    (folder / "tls").mkdir()
    (folder / "tls" / "orderer.pem").write_text(PEM)
    file = folder / "org1.json"
    described = {
        "version": "1.0.0",
        "client": {"organization": "Org1"},
        "organizations": {"Org1": {"mspid": "Org1MSP"}},
        "channels": {"mychannel": {"orderers": ["orderer"], "peers": {"peer0": {}, "peer1": {}}}},
        "orderers": {"orderer": {"url": "grpcs://orderer.example.com:7050", "tlsCACerts": {"path": "tls/orderer.pem"}}},
        "peers": {
            "peer0": {
                "url": "grpcs://10.0.0.7:7051",
                "grpcOptions": {"ssl-target-name-override": "peer0.example.com"},
                "tlsCACerts": {"pem": PEM},
            },
            "peer1": {"url": "grpcs://peer1.example.com:8051", "tlsCACerts": {"pem": PEM}},
        },
    }
    file.write_text(json.dumps(described))
    return file


class TestConnectionProfile:
    def test_tells_endpoints_roots_and_msp_id(self, synthesize: Synthesize, tmp_path: Path) -> None:
        file = profile(tmp_path)

        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Foreign")
            vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
            network = FabricNetwork.from_connection_profile(stack, "Network", path=file, **COMMON)
            ChaincodeFunction(stack, "Chaincode", vpc=vpc, network=network)

        template = synthesize(build)["Foreign"]
        told = environment(template)
        assert json.loads(told["FABRIC_IDENTITIES"])["mspId"] == "Org1MSP"
        network = json.loads(told["FABRIC_NETWORK"])
        assert network["peers"] == [
            {"endpoint": "10.0.0.7:7051", "tlsHostname": "peer0.example.com"},
            {"endpoint": "peer1.example.com:8051"},
        ]
        assert network["orderers"] == [{"endpoint": "orderer.example.com:7050"}]
        assert network["tlsRoots"] == PEM.strip()
        (group,) = [
            each for each in of_type(template, "AWS::EC2::SecurityGroup").values() if "chaincode" in json.dumps(each)
        ]
        assert [rule["FromPort"] for rule in group["SecurityGroupEgress"]] == [443, 7050, 7051, 8051]

    def test_peers_of_all_organizations_are_used_and_named(self, synthesize: Synthesize, tmp_path: Path) -> None:
        file = profile(tmp_path)
        described = json.loads(file.read_text())
        peer2 = {"url": "grpcs://peer0.org2.example.com:9051", "tlsCACerts": {"pem": PEM}}
        described["peers"] |= {"peer2": peer2, "peer3": peer2 | {"url": "grpcs://peer0.org3.example.com:10051"}}
        described["organizations"]["Org1"]["peers"] = ["peer0", "peer1"]
        described["organizations"]["Org2"] = {"mspid": "Org2MSP", "peers": ["peer2"]}
        described["channels"]["mychannel"]["peers"] |= {"peer2": {}, "peer3": {}}
        file.write_text(json.dumps(described))

        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Foreign")
            network = FabricNetwork.from_connection_profile(
                stack, "Network", path=file, endorsing_organizations=["Org1MSP", "Org2MSP"], **COMMON
            )
            ChaincodeFunction(stack, "Chaincode", vpc=ec2.Vpc(stack, "Vpc", max_azs=2), network=network)

        network = json.loads(environment(synthesize(build)["Foreign"])["FABRIC_NETWORK"])
        assert [(peer["endpoint"], peer.get("mspId")) for peer in network["peers"]] == [
            ("10.0.0.7:7051", "Org1MSP"),
            ("peer1.example.com:8051", "Org1MSP"),
            ("peer0.org2.example.com:9051", "Org2MSP"),
            ("peer0.org3.example.com:10051", None),
        ]
        assert network["endorsingOrganizations"] == ["Org1MSP", "Org2MSP"]

    def test_an_organization_without_a_peer_cannot_endorse(self, tmp_path: Path) -> None:
        file = profile(tmp_path)
        described = json.loads(file.read_text())
        described["organizations"]["Org1"]["peers"] = ["peer0", "peer1"]
        file.write_text(json.dumps(described))
        for asked in (2, ["Org2MSP"], ["Org1MSP", "Org2MSP"]):
            with pytest.raises(ValueError, match=r"^endorsing_organizations: "):
                FabricNetwork.from_connection_profile(
                    cdk.Stack(), "Network", path=file, endorsing_organizations=asked, **COMMON
                )

    def test_long_roots_can_be_in_s3(self, synthesize: Synthesize, tmp_path: Path) -> None:
        file = profile(tmp_path)

        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Foreign")
            network = FabricNetwork.from_connection_profile(
                stack, "Network", path=file, tls_roots="s3://chains/tls.pem", **COMMON
            )
            ChaincodeFunction(stack, "Chaincode", vpc=ec2.Vpc(stack, "Vpc", max_azs=2), network=network)

        told = environment(synthesize(build)["Foreign"])
        assert json.loads(told["FABRIC_NETWORK"])["tlsRoots"] == "s3://chains/tls.pem"

    def test_what_is_wrong_is_named_at_synth(self, tmp_path: Path) -> None:
        stack = cdk.Stack(cdk.App(), "Foreign")
        with pytest.raises(ConnectionProfileError, match=r"channels\.other is missing; there is mychannel"):
            FabricNetwork.from_connection_profile(
                stack, "Network", path=profile(tmp_path), **(COMMON | {"channel": "other"})
            )


def managed(app: cdk.App, **props: Any) -> None:
    stack = cdk.Stack(app, "Foreign")
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
    endpoint = props.pop("endpoint", None)
    network = FabricNetwork.from_managed_blockchain(
        stack,
        "Network",
        network_id=NETWORK,
        member_id=MEMBER,
        node_ids=NODES,
        vpc=vpc,
        fabric_endpoint=endpoint(stack) if endpoint else None,
        **COMMON,
        **props,
    )
    ChaincodeFunction(stack, "Chaincode", vpc=vpc, network=network)


class TestManagedBlockchain:
    def test_endpoints_are_looked_up_when_deploying(self, synthesize: Synthesize) -> None:
        template = synthesize(managed)["Foreign"]
        (lookup_id,) = of_type(template, "Custom::ManagedBlockchainLookup")
        lookup = only(template, "Custom::ManagedBlockchainLookup")
        assert (lookup["NetworkId"], lookup["MemberId"], lookup["NodeIds"]) == (NETWORK, MEMBER, NODES)
        told = environment(template)
        assert json.loads(told["FABRIC_IDENTITIES"])["mspId"] == MEMBER
        network = json.loads(told["FABRIC_NETWORK"])
        assert network["peers"] == [
            {"endpoint": f"<{lookup_id}.Peer{number}Endpoint>", "mspId": MEMBER} for number in range(2)
        ]
        assert network["orderers"] == [{"endpoint": f"<{lookup_id}.OrdererEndpoint>"}]
        chain = "<AWS::Region>.managedblockchain/etc/managedblockchain-tls-chain.pem"
        assert network["tlsRoots"] == f"s3://{chain}"

    def test_the_look_up_may_read_just_this_member(self, synthesize: Synthesize) -> None:
        template = synthesize(managed)["Foreign"]
        statements = [
            statement
            for policy in of_type(template, "AWS::IAM::Policy").values()
            for statement in policy["PolicyDocument"]["Statement"]
            if "managedblockchain" in json.dumps(statement["Action"])
        ]
        (statement,) = statements
        arn = "arn:<AWS::Partition>:managedblockchain:<AWS::Region>"
        assert [flat(each) for each in statement["Resource"]] == [
            f"{arn}::networks/{NETWORK}",
            *(f"{arn}:<AWS::AccountId>:{name}" for name in (f"members/{MEMBER}", *(f"nodes/{node}" for node in NODES))),
        ]

    def test_the_functions_are_let_through_an_endpoint_of_its_own(self, synthesize: Synthesize) -> None:
        template = synthesize(managed)["Foreign"]
        (lookup,) = of_type(template, "Custom::ManagedBlockchainLookup")
        (endpoint,) = [
            each
            for each in of_type(template, "AWS::EC2::VPCEndpoint").values()
            if flat(each["ServiceName"]) == f"<{lookup}.VpcEndpointServiceName>"
        ]
        assert endpoint["PrivateDnsEnabled"] is True
        (group,) = [flat(each).strip("<>").partition(".")[0] for each in endpoint["SecurityGroupIds"]]
        ingress = [
            (rule["FromPort"], rule["ToPort"])
            for rule in of_type(template, "AWS::EC2::SecurityGroupIngress").values()
            if group in flat(rule["GroupId"])
        ]
        assert ingress == [(30_001, 30_999)]
        (function,) = [
            each for each in of_type(template, "AWS::EC2::SecurityGroup").values() if "chaincode" in json.dumps(each)
        ]
        assert [(rule["FromPort"], rule["ToPort"]) for rule in function["SecurityGroupEgress"]] == [
            (443, 443),
            (30_001, 30_999),
        ]

    def test_the_members_endpoint_can_be_used(self, synthesize: Synthesize) -> None:
        def existing(stack: cdk.Stack) -> ec2.IInterfaceVpcEndpoint:
            return ec2.InterfaceVpcEndpoint.from_interface_vpc_endpoint_attributes(
                stack,
                "Existing",
                port=443,
                vpc_endpoint_id="vpce-0123456789abcdef0",
                security_groups=[ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-0123456789abcdef0")],
            )

        template = synthesize(lambda app: managed(app, endpoint=existing))["Foreign"]
        services = [flat(each["ServiceName"]) for each in of_type(template, "AWS::EC2::VPCEndpoint").values()]
        assert not [service for service in services if "VpcEndpointServiceName" in service]
        ingress = of_type(template, "AWS::EC2::SecurityGroupIngress").values()
        assert [rule["FromPort"] for rule in ingress if rule["GroupId"] == "sg-0123456789abcdef0"] == [30_001]

    def test_no_endpoint_is_made_where_the_subnets_have_a_way(self, synthesize: Synthesize) -> None:
        props = {"create_fabric_endpoint": False, "create_secrets_endpoint": False}
        assert not of_type(synthesize(lambda app: managed(app, **props))["Foreign"], "AWS::EC2::VPCEndpoint")

    def test_no_node_is_refused(self) -> None:
        stack = cdk.Stack(cdk.App(), "Foreign")
        with pytest.raises(ValueError, match="node_ids: at least one"):
            FabricNetwork.from_managed_blockchain(
                stack,
                "Network",
                network_id=NETWORK,
                member_id=MEMBER,
                node_ids=[],
                vpc=ec2.Vpc(stack, "Vpc"),
                **COMMON,
            )


class TestHyperledgerFabricNetwork:
    def test_its_nodes_users_vpc_and_endpoint_are_used(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Foreign", env=cdk.Environment(account="111122223333", region="us-east-1"))
            made = HyperledgerFabricNetwork(
                stack,
                "Managed",
                network_name="network",
                member_name="member",
                users=[HyperledgerFabricUserProps(user_id="app", affilitation="member")],
            )
            network = FabricNetwork.from_hyperledger_fabric_network(
                stack, "Network", network=made, channel="mychannel", chaincode="ngo"
            )
            ChaincodeFunction(stack, "Chaincode", vpc=made.client.vpc, network=network)

        template = synthesize(build)["Foreign"]
        told = environment(template)
        identities = json.loads(told["FABRIC_IDENTITIES"])
        assert "Member" in identities["mspId"]
        (secrets,) = identities["users"].values()
        granted = json.dumps(
            [
                statement["Resource"]
                for policy in of_type(template, "AWS::IAM::Policy").values()
                for statement in policy["PolicyDocument"]["Statement"]
                if "ChaincodeRole" in json.dumps(policy["Roles"]) and "GetSecretValue" in json.dumps(statement)
            ]
        )
        for secret in secrets.values():
            assert secret.strip("<>") in granted
        network = json.loads(told["FABRIC_NETWORK"])
        assert len(network["peers"]) == len(network["orderers"]) == 1
        rules = of_type(template, "AWS::EC2::SecurityGroupIngress").values()
        assert [rule for rule in rules if "Chaincode" in json.dumps(rule["SourceSecurityGroupId"])]

    def test_a_network_without_users_is_refused(self) -> None:
        app = cdk.App(context={"aws:cdk:bundling-stacks": []})
        stack = cdk.Stack(app, "Foreign", env=cdk.Environment(account="111122223333", region="us-east-1"))
        made = HyperledgerFabricNetwork(stack, "Managed", network_name="network", member_name="member")
        with pytest.raises(ValueError, match="users: at least one"):
            FabricNetwork.from_hyperledger_fabric_network(
                stack, "Network", network=made, channel="mychannel", chaincode="ngo"
            )
