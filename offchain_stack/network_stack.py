"""OffChainNetworkStack: the endpoints of a VPC in which there are several deployments."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from .endpoint import tcp
from .fabric import READ_SECRET, s3_object_arn, secrets_interface_endpoint
from .managed_blockchain import (
    MANAGED_BLOCKCHAIN_PORTS,
    ManagedBlockchainLookup,
    fabric_interface_endpoint,
    managed_blockchain_tls_roots,
)
from .network_settings import NetworkSettings
from .secret_arns import secret_arns
from .settings import Settings
from .store import OBJECT_ACTIONS
from .vpc_endpoints import admit, admit_buckets, warn_of_tables_not_chosen


class OffChainNetworkStack(cdk.Stack):
    """The VPC endpoints that several deployments share: a route table takes one to S3, and a VPC one with the private
    DNS name of a service. Each deployment keeps these, and no deployment's end takes them from another.

    The endpoints' policies admit each deployment's bucket, secrets and TLS roots. A deployment lets its own functions
    into the interface endpoints: its settings name them by the ids that are this stack's outputs. Deploy this stack
    first, and again when a deployment or one of its users, secrets or record types is added.

    * `settings`: the deployments, and what else is admitted.
    * `env`: account and region; by default those of the deployments, or none.

    Exposes `vpc`, `s3_endpoint`, `secrets_endpoint` and `fabric_endpoints` (by the id of the Managed Blockchain
    network). Outputs: `SecretsManagerEndpointId`, `SecretsManagerEndpointSecurityGroupId`, and
    `ManagedBlockchainEndpointId` and `ManagedBlockchainEndpointSecurityGroupId`, with a number from the second network
    on.
    """

    def __init__(
        self, scope: Construct, id: str, *, settings: NetworkSettings, env: cdk.Environment | None = None
    ) -> None:
        first = settings.deployments[0]
        if env is None and first.account:
            env = cdk.Environment(account=first.account, region=first.region)
        super().__init__(scope, id, env=env, description="VPC endpoints of several deployments of offchain-stack")
        self.vpc = self._vpc(settings.deployments)
        self.s3_endpoint = ec2.GatewayVpcEndpoint(
            self,
            "S3Endpoint",
            vpc=self.vpc,
            service=ec2.GatewayVpcEndpointAwsService.S3,
            subnets=[ec2.SubnetSelection()],
        )
        if not first.subnet_ids:
            warn_of_tables_not_chosen(self.s3_endpoint, self.vpc)
        self.secrets_endpoint = secrets_interface_endpoint(self, self.vpc, None)
        self.fabric_endpoints = self._fabric_endpoints(settings.deployments)
        for each in settings.deployments:
            self._admit(each)
        admit_buckets(self.s3_endpoint, settings.admitted_buckets)
        self._admit_secrets(settings.admitted_secrets)
        for group in settings.admitted_security_group_ids:
            self._let_in(ec2.Peer.security_group_id(group))
        self._output("SecretsManagerEndpoint", self.secrets_endpoint)
        for number, endpoint in enumerate(self.fabric_endpoints.values(), 1):
            self._output(f"ManagedBlockchainEndpoint{number if number > 1 else ''}", endpoint)

    def _vpc(self, deployments: Sequence[Settings]) -> ec2.IVpc:
        """With the subnets of all deployments."""
        if not deployments[0].subnet_ids:
            return ec2.Vpc.from_lookup(self, "Vpc", vpc_id=deployments[0].vpc_id)
        subnets = {subnet: (zone, table) for each in deployments for subnet, zone, table in each.placed_subnets()}
        return ec2.Vpc.from_vpc_attributes(
            self,
            "Vpc",
            vpc_id=deployments[0].vpc_id,
            availability_zones=[zone for zone, _ in subnets.values()],
            private_subnet_ids=list(subnets),
            private_subnet_route_table_ids=[table for _, table in subnets.values()],
        )

    def _fabric_endpoints(self, deployments: Sequence[Settings]) -> dict[str, ec2.InterfaceVpcEndpoint]:
        found: dict[str, ec2.InterfaceVpcEndpoint] = {}
        for member in (each.managed_blockchain for each in deployments):
            if member and member.network_id not in found:
                looked_up = ManagedBlockchainLookup(
                    self,
                    f"{member.network_id}Lookup",
                    network_id=member.network_id,
                    member_id=member.member_id,
                    node_ids=member.node_ids,
                )
                found[member.network_id] = fabric_interface_endpoint(
                    self,
                    f"{member.network_id}Endpoint",
                    vpc=self.vpc,
                    subnets=None,
                    service_name=looked_up.vpc_endpoint_service_name,
                )
        return found

    def _admit(self, settings: Settings) -> None:
        bucket = self.format_arn(service="s3", region="", account="", resource=_bucket(settings))
        prefixes = [each.key_prefix for each in settings.record_types]
        own = not settings.bucket_name
        admit(self.s3_endpoint, OBJECT_ACTIONS, [f"{bucket}/{prefix}*" for prefix in prefixes], of_account=own)
        admit(self.s3_endpoint, ["s3:ListBucketVersions"], [bucket], of_account=own)
        roots = managed_blockchain_tls_roots(self) if settings.managed_blockchain else settings.tls_roots
        if roots and (arn := s3_object_arn(self, roots)):
            admit(self.s3_endpoint, ["s3:GetObject"], [arn])
        self._admit_secrets([secret for user in settings.users for secret in (user.certificate, user.private_key)])

    def _admit_secrets(self, secrets: Sequence[str]) -> None:
        admit(self.secrets_endpoint, READ_SECRET, [arn for each in secrets for arn in secret_arns(self, each)])

    def _let_in(self, client: ec2.IPeer) -> None:
        self.secrets_endpoint.connections.allow_from(client, ec2.Port.HTTPS)
        for endpoint in self.fabric_endpoints.values():
            endpoint.connections.allow_from(client, tcp(MANAGED_BLOCKCHAIN_PORTS))

    def _output(self, name: str, endpoint: ec2.InterfaceVpcEndpoint) -> None:
        (group,) = endpoint.connections.security_groups
        cdk.CfnOutput(self, f"{name}Id", value=endpoint.vpc_endpoint_id)
        cdk.CfnOutput(self, f"{name}SecurityGroupId", value=group.security_group_id)


def _bucket(settings: Settings) -> str:
    """The name of a deployment's bucket, perhaps with `*`: CloudFormation makes one up of the stack's name, of which it
    takes at least 24 characters, and of the logical id, which no version changes."""
    return settings.bucket_name or f"{settings.stack_name.lower()[:24]}*-storebucket*"
