"""Amazon Managed Blockchain: what its API tells of a member, looked up when the stack is deployed."""

from collections.abc import Sequence
from typing import Protocol

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from .custom_resource import CustomResourceProvider
from .endpoint import Endpoint

MANAGED_BLOCKCHAIN_PORTS = (30_001, 30_999)
"""TCP ports of its nodes: 30001 the ordering service, 30002 the CA, then two for each peer node. Which a node has is
known only when the stack is deployed."""


class ManagedBlockchainLookup(Construct):
    """A custom resource that asks Amazon Managed Blockchain for the endpoints of a network, a member and its nodes when
    it is made, and when one of the ids changes.

    * `node_ids`: the member's peer nodes.

    Exposes, as tokens, `orderer`, `peers` (in the order of `node_ids`), `ca_endpoint` and `vpc_endpoint_service_name`,
    and `handler`, the function behind it. A deployment fails with Managed Blockchain's own words where an id does not
    exist. Raises ValueError naming the argument that is wrong.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        network_id: str,
        member_id: str,
        node_ids: Sequence[str],
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        super().__init__(scope, id)
        if not node_ids:
            raise ValueError("node_ids: at least one is needed, such as 'nd-ABCDEFGHIJKLMNOPQRSTUVWXYZ'")
        stack = cdk.Stack.of(self)
        self.handler = CustomResourceProvider(
            self,
            "Handler",
            source="look_up_network",
            exclude=["shared/ledger"],
            description="Looks up the endpoints of a Managed Blockchain member",
            timeout=cdk.Duration.minutes(1),
            log_retention=log_retention,
            environment={"POWERTOOLS_SERVICE_NAME": "offchain-look-up-network", "POWERTOOLS_LOG_LEVEL": "INFO"},
        )
        names = [("networks", network_id, ""), ("members", member_id, stack.account)]
        names += [("nodes", node, stack.account) for node in node_ids]
        self.handler.function_role.add_to_policy(
            iam.PolicyStatement(
                actions=["managedblockchain:GetMember", "managedblockchain:GetNetwork", "managedblockchain:GetNode"],
                resources=[
                    stack.format_arn(service="managedblockchain", account=account, resource=kind, resource_name=name)
                    for kind, name, account in names
                ],
            )
        )
        found = cdk.CustomResource(
            self,
            "Lookup",
            resource_type="Custom::ManagedBlockchainLookup",
            service_token=self.handler.provider.service_token,
            properties={"NetworkId": network_id, "MemberId": member_id, "NodeIds": list(node_ids)},
        )
        # The rights to look up must be there before, and go after.
        found.node.add_dependency(self.handler.function_role)
        self.orderer = Endpoint(address=found.get_att_string("OrdererEndpoint"))
        self.peers = [
            Endpoint(address=found.get_att_string(f"Peer{number}Endpoint"), msp_id=member_id)
            for number in range(len(node_ids))
        ]
        self.ca_endpoint = found.get_att_string("CaEndpoint")
        self.vpc_endpoint_service_name = found.get_att_string("VpcEndpointServiceName")


def fabric_interface_endpoint(
    scope: Construct, id: str, *, vpc: ec2.IVpc, subnets: ec2.SubnetSelection | None, service_name: str
) -> ec2.InterfaceVpcEndpoint:
    """An interface endpoint to a Managed Blockchain network, closed until `FabricNetwork.allow_ledger_from`."""
    group = ec2.SecurityGroup(
        scope, f"{id}SecurityGroup", vpc=vpc, description="Managed Blockchain endpoint", allow_all_outbound=False
    )
    return ec2.InterfaceVpcEndpoint(
        scope,
        id,
        vpc=vpc,
        # The port only serves the endpoint's own default rule, which `open` turns off.
        service=ec2.InterfaceVpcEndpointService(service_name, 30001),
        subnets=subnets,
        open=False,
        private_dns_enabled=True,
        security_groups=[group],
    )


def managed_blockchain_tls_roots(scope: Construct) -> str:
    """Where AWS publishes the TLS chain of its orderers and peers in the stack's region (Managed Blockchain's guide,
    "Set up the Fabric client")."""
    return f"s3://{cdk.Stack.of(scope).region}.managedblockchain/etc/managedblockchain-tls-chain.pem"


class HyperledgerFabricUser(Protocol):
    """What is used of `cdklabs.cdk_hyperledger_fabric_network.HyperledgerFabricUser`."""

    @property
    def user_id(self) -> str: ...
    @property
    def user_signed_cert_secret(self) -> secretsmanager.Secret: ...
    @property
    def user_private_key_secret(self) -> secretsmanager.Secret: ...


class HyperledgerFabricNode(Protocol):
    """What is used of `cdklabs.cdk_hyperledger_fabric_network.HyperledgerFabricNode`."""

    @property
    def endpoint(self) -> str: ...


class HyperledgerFabricClient(Protocol):
    """What is used of `cdklabs.cdk_hyperledger_fabric_network.HyperledgerFabricClient`."""

    @property
    def vpc(self) -> ec2.IVpc: ...
    @property
    def vpc_endpoint(self) -> ec2.InterfaceVpcEndpoint: ...


class HyperledgerFabricNetwork(Protocol):
    """What is used of `cdklabs.cdk_hyperledger_fabric_network.HyperledgerFabricNetwork`, an optional package."""

    @property
    def member_id(self) -> str: ...
    @property
    def orderer_endpoint(self) -> str: ...
    @property
    def nodes(self) -> Sequence[HyperledgerFabricNode]: ...
    @property
    def users(self) -> Sequence[HyperledgerFabricUser]: ...
    @property
    def client(self) -> HyperledgerFabricClient: ...
