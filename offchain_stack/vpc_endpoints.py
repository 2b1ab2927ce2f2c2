"""What EC2 lets only one endpoint of a VPC have: a route table leads to S3 by one gateway endpoint, and one interface
endpoint of a service has the service's private DNS name. A second one fails when it is deployed."""

import re
from collections.abc import Iterator
from typing import cast

import aws_cdk as cdk
import jsii
from aws_cdk import aws_ec2 as ec2
from constructs import IConstruct, IValidation

_NETWORK = "offchain-stack:managedBlockchainNetwork"
"""Metadata of an endpoint whose service is known only when the stack is deployed: the network that it leads to."""


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
