"""VPC endpoints: what their policies admit, and which ones cannot exist beside each other.

A route table leads to S3 by one gateway endpoint, and one interface endpoint of a VPC has a service's private DNS name.
A second one fails when it is deployed.
"""

import re
from collections.abc import Iterator, Sequence
from typing import cast

import aws_cdk as cdk
import jsii
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import IConstruct, IValidation

_NETWORK = "offchain-stack:managedBlockchainNetwork"
"""Metadata of an endpoint whose service is known only when the stack is deployed: the network that it leads to."""


def admit(
    endpoint: ec2.VpcEndpoint, actions: Sequence[str], resources: Sequence[str], *, of_account: bool = False
) -> None:
    """Let principals of the stack's account use `endpoint` for `actions` on `resources` (ARNs, none for nothing). With
    `of_account` only resources of the account are meant, whose names are not quite known."""
    account = cdk.Stack.of(endpoint).account
    if resources:
        endpoint.add_to_policy(
            iam.PolicyStatement(
                principals=[iam.AnyPrincipal()],
                actions=list(actions),
                resources=list(resources),
                conditions={
                    "StringEquals": {"aws:PrincipalAccount": account}
                    | ({"aws:ResourceAccount": account} if of_account else {})
                },
            )
        )


def admit_buckets(endpoint: ec2.GatewayVpcEndpoint, names: Sequence[str]) -> None:
    """Let everybody use `endpoint` for these buckets and all that is in them. A name in which `*` stands for any
    characters admits buckets of the stack's account only."""
    stack = cdk.Stack.of(endpoint)
    for name in names:
        arn = stack.format_arn(service="s3", region="", account="", resource=name)
        endpoint.add_to_policy(
            iam.PolicyStatement(
                principals=[iam.AnyPrincipal()],
                actions=["s3:*"],
                resources=[arn, f"{arn}/*"],
                conditions={"StringEquals": {"aws:ResourceAccount": stack.account}} if "*" in name else None,
            )
        )


def warn_of_tables_not_chosen(scope: IConstruct, vpc: ec2.IVpc) -> None:
    """Say at synth that an S3 endpoint of ours goes to all route tables of the private subnets of an existing VPC."""
    tables = dict.fromkeys(subnet.route_table.route_table_id for subnet in vpc.select_subnets().subnets)
    cdk.Annotations.of(scope).add_warning_v2(
        "offchain-stack:restrictiveS3Endpoint",
        f"The S3 endpoint made here goes to {', '.join(tables)} of a VPC that exists already, and admits what these "
        "functions need and nothing else. Anything else behind these route tables that uses S3 in this region (package "
        "mirrors, image layers, backups) is refused from then on. Name the functions' subnets alone, admit the other "
        "buckets, or keep the endpoint that the VPC has.",
    )


def leads_to(endpoint: ec2.InterfaceVpcEndpoint, network_id: str) -> None:
    """Note the Managed Blockchain network behind `endpoint`, whose service's name is a token."""
    _resource(endpoint).node.add_metadata(_NETWORK, network_id)


def require_alone(endpoint: ec2.VpcEndpoint, prop: str, mend: str) -> None:
    """Raises ValueError that names `prop` where another endpoint of the app cannot exist beside `endpoint`, which was
    just made. One that is made later is an error when the app is synthesized.

    Two stacks that name the same VPC by its id may be alternatives of each other, so that this is only said.
    """
    for other, what in _conflicts(endpoint):
        text = f"{prop}: {what} at {other.node.path}. {mend}"
        if not _deployed_with(endpoint, other):
            cdk.Annotations.of(endpoint).add_info(text)
            continue
        raise ValueError(text)
    endpoint.node.add_validation(_Alone(endpoint, prop, mend))


@jsii.implements(IValidation)
class _Alone:
    def __init__(self, endpoint: ec2.VpcEndpoint, prop: str, mend: str) -> None:
        self._endpoint, self._prop, self._mend = endpoint, prop, mend

    def validate(self) -> list[str]:
        return [
            f"{self._prop}: {what} at {other.node.path}. {self._mend}"
            for other, what in _conflicts(self._endpoint)
            if _deployed_with(self._endpoint, other)
        ]


def _conflicts(endpoint: ec2.VpcEndpoint) -> Iterator[tuple[ec2.CfnVPCEndpoint, str]]:
    own = _resource(endpoint)
    for other in endpoint.node.root.node.find_all():
        if (
            isinstance(other, ec2.CfnVPCEndpoint)
            and other.node.path != own.node.path
            and _same(other.vpc_id, own.vpc_id)
            and _service(other) == _service(own)
        ):
            tables = {_identity(table) for table in other.route_table_ids or ()}
            if tables & {_identity(table) for table in own.route_table_ids or ()}:
                yield other, "a route table takes one S3 endpoint, and there is one"
            if other.private_dns_enabled and own.private_dns_enabled:
                yield other, "a VPC takes one endpoint with a service's private DNS name, and there is one"


def _deployed_with(endpoint: IConstruct, other: IConstruct) -> bool:
    """Whether the two are surely meant to exist at the same time: of one stack, or in a VPC of the app."""
    vpc = _resource(endpoint).vpc_id
    return cdk.Token.is_unresolved(vpc) or cdk.Stack.of(endpoint) is cdk.Stack.of(other)


def _resource(endpoint: IConstruct) -> ec2.CfnVPCEndpoint:
    (resource,) = [each for each in endpoint.node.find_all() if isinstance(each, ec2.CfnVPCEndpoint)]
    return resource


def _service(endpoint: ec2.CfnVPCEndpoint) -> str:
    for entry in endpoint.node.metadata:
        if entry.type == _NETWORK:
            return str(entry.data)
    name = endpoint.service_name or ""
    # The region is a token, and another one in each stack.
    return re.sub(r"\$\{Token\[[^\]]*\]\}", "", name).rpartition(".")[2] or name


def _same(one: str, other: str) -> bool:
    return _identity(one) == _identity(other)


def _identity(value: str) -> str:
    """What tells a value from others: a reference is the same in every stack that makes it."""
    token = cdk.Tokenization.reverse_string(value).first_token
    if token is not None and cdk.Reference.is_reference(token):
        reference = cast("cdk.Reference", token)
        return f"{reference.target.node.path}.{reference.display_name}"
    return value
