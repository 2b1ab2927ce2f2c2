"""A VPC as EC2 keeps it: what it lets only one endpoint have, and what security groups and endpoint policies admit.

Templates are deployed into it as CloudFormation would: names are made up, references followed.
"""

import fnmatch
import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stack_template import Template, aslist

from sandbox.intrinsics import Resolver

REGION, ACCOUNT = "us-east-1", "111122223333"
LEDGER = "com.amazonaws.us-east-1.managedblockchain.n-abcdefghijklmnopqrstuvwxyz"


class Refused(Exception):
    """What EC2 answers when a stack is deployed."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """`where` is route tables, or subnets; `groups` guard an interface endpoint."""

    id: str
    service: str
    kind: str
    where: frozenset[str]
    groups: frozenset[str] = frozenset()
    private_dns: bool = False
    policy: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Of a security group. `other` is a group, a range of addresses or a prefix list."""

    group: str
    direction: str
    protocol: str
    ports: tuple[int, int]
    other: str


@dataclass(frozen=True, kw_only=True)
class Function:
    stack: str
    handler: str
    groups: tuple[str, ...]
    subnets: tuple[str, ...]
    statements: tuple[Mapping[str, Any], ...]
    environment: Mapping[str, Any]


@dataclass
class Vpc:
    """`tables` are those of the subnets, by subnet."""

    tables: Mapping[str, str]
    endpoints: list[Endpoint] = field(default_factory=list)
    rules: set[Rule] = field(default_factory=set)

    def add(self, endpoint: Endpoint) -> None:
        for other in self.endpoints:
            if other.service != endpoint.service:
                continue
            if endpoint.kind == other.kind == "Gateway" and endpoint.where & other.where:
                raise Refused(
                    f"route table {min(endpoint.where & other.where)} already has a route with {other.service}"
                )
            if endpoint.private_dns and other.private_dns:
                raise Refused(
                    f"private-dns-enabled cannot be set: there is a conflicting DNS domain for {other.service}"
                )
        self.endpoints.append(endpoint)

    def allow(self, rule: Rule) -> None:
        if rule in self.rules:
            raise Refused(f"the specified rule already exists: {rule}")
        self.rules.add(rule)

    def deploy(self, template: Template, stack: str) -> list[Function]:
        """Make a stack's endpoints and rules; its functions, which use them."""
        deployed = _Deployed(template, stack)
        for endpoint in deployed.endpoints():
            self.add(endpoint)
        for rule in deployed.rules():
            self.allow(rule)
        return list(deployed.functions())

    def endpoint_of(self, function: Function, service: str) -> Endpoint | None:
        """The endpoint by which a function reaches a service by its name: of its route tables, or of the whole VPC."""
        tables = {self.tables[subnet] for subnet in function.subnets}
        for each in self.endpoints:
            reached = tables <= each.where if each.kind == "Gateway" else each.private_dns
            if each.service == service and reached:
                return each
        return None

    def connects(self, function: Function, endpoint: Endpoint, port: int) -> bool:
        """Whether the groups of both sides let the function through to an interface endpoint."""
        out = self._admits(function.groups, "out", port, {*endpoint.groups, "10.0.0.0/16"})
        return out and self._admits(endpoint.groups, "in", port, {*function.groups, "10.0.0.0/16"})

    def reaches(self, function: Function, address: str, port: int) -> bool:
        """Whether the function's own groups let it out to an address in the internet or to a prefix list."""
        return self._admits(function.groups, "out", port, {address})

    def _admits(self, groups: Iterable[str], direction: str, port: int, others: set[str]) -> bool:
        return any(
            rule.group in groups
            and rule.direction == direction
            and rule.protocol in ("tcp", "-1")
            and (rule.protocol == "-1" or rule.ports[0] <= port <= rule.ports[1])
            and any(_covers(rule.other, other) for other in others)
            for rule in self.rules
        )


def _covers(allowed: str, wanted: str) -> bool:
    if allowed == wanted:
        return True
    try:
        return ipaddress.ip_network(wanted).subnet_of(ipaddress.ip_network(allowed))  # type: ignore[arg-type]
    except ValueError:
        return False


class _Deployed(Resolver):
    """A template with the names and ids that AWS makes up."""

    def __init__(self, template: Template, stack: str) -> None:
        super().__init__(template, region=REGION, account=ACCOUNT, stack_name=stack)
        self._stack = stack

    def name(self, logical_id: str) -> str:
        kind = self.resources[logical_id]["Type"]
        unique = hashlib.sha256(f"{self._stack} {logical_id}".encode()).hexdigest()
        prefix = {"AWS::EC2::SecurityGroup": "sg-", "AWS::EC2::VPCEndpoint": "vpce-"}.get(kind)
        if prefix:
            return prefix + unique[:17]
        if kind == "AWS::S3::Bucket":
            # More than 63 characters are cut: 24 of the stack's name, 24 of the logical id.
            name = f"{self._stack.lower()}-{logical_id.lower()}-{unique[:12]}"
            cut = f"{self._stack.lower()[:24]}-{logical_id.lower()[:24]}-{unique[:12]}"
            return name if len(name) <= 63 else cut
        return super().name(logical_id)

    def _get_att(self, argument: Any) -> Any:
        logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        if attribute == "GroupId":
            return self.name(logical_id)
        if attribute == "VpcEndpointServiceName":
            return LEDGER
        if attribute.endswith("Endpoint"):
            return f"{attribute.lower()}.example.managedblockchain.us-east-1.amazonaws.com:30003"
        return super()._get_att(argument)

    def endpoints(self) -> Iterator[Endpoint]:
        for name, raw in self.of_type("AWS::EC2::VPCEndpoint").items():
            properties = self.resolve(raw)
            yield Endpoint(
                id=self.name(name),
                service=properties["ServiceName"],
                kind=properties["VpcEndpointType"],
                where=frozenset(properties.get("RouteTableIds") or properties.get("SubnetIds")),
                groups=frozenset(properties.get("SecurityGroupIds", ())),
                private_dns=properties.get("PrivateDnsEnabled", False),
                policy=properties.get("PolicyDocument"),
            )

    def rules(self) -> Iterator[Rule]:
        for name, raw in self.of_type("AWS::EC2::SecurityGroup").items():
            group = self.resolve(raw)
            for direction, kind in (("in", "SecurityGroupIngress"), ("out", "SecurityGroupEgress")):
                for rule in group.get(kind, []):
                    yield _rule(self.name(name), direction, rule)
        for direction, kind in (("in", "Ingress"), ("out", "Egress")):
            for raw in self.of_type(f"AWS::EC2::SecurityGroup{kind}").values():
                rule = self.resolve(raw)
                yield _rule(rule["GroupId"], direction, rule)

    def functions(self) -> Iterator[Function]:
        policies = [self.resolve(each) for each in self.of_type("AWS::IAM::Policy").values()]
        for raw in self.of_type("AWS::Lambda::Function").values():
            if "VpcConfig" not in raw:
                continue
            role = self.resolve(raw["Role"]).rpartition("/")[2]
            yield Function(
                stack=self._stack,
                handler=raw["Handler"].partition(".")[0],
                groups=tuple(self.resolve(raw["VpcConfig"]["SecurityGroupIds"])),
                subnets=tuple(self.resolve(raw["VpcConfig"]["SubnetIds"])),
                statements=tuple(
                    statement
                    for policy in policies
                    if role in policy["Roles"]
                    for statement in policy["PolicyDocument"]["Statement"]
                ),
                environment=self.resolve(raw["Environment"]["Variables"]),
            )


def _rule(group: str, direction: str, rule: Mapping[str, Any]) -> Rule:
    names = (
        *("CidrIp", "SourceSecurityGroupId", "DestinationSecurityGroupId"),
        *("SourcePrefixListId", "DestinationPrefixListId"),
    )
    (other,) = [rule[name] for name in names if name in rule]
    return Rule(
        group=group,
        direction=direction,
        protocol=str(rule["IpProtocol"]),
        ports=(rule.get("FromPort", -1), rule.get("ToPort", -1)),
        other=other,
    )


def admits(policy: Mapping[str, Any] | None, action: str, resource: str) -> bool:
    """Whether a policy allows this account's principals `action` on `resource`, an ARN of this account. A wildcard
    in it must be admitted as such."""
    if policy is None:
        return True
    allowed = [each for each in aslist(policy["Statement"]) if each["Effect"] == "Allow" and _conditions_hold(each)]
    return any(
        any(fnmatch.fnmatchcase(action, each) for each in aslist(statement["Action"]))
        and any(fnmatch.fnmatchcase(resource, each) for each in aslist(statement["Resource"]))
        for statement in allowed
    )


def _conditions_hold(statement: Mapping[str, Any]) -> bool:
    known = {"aws:PrincipalAccount": ACCOUNT, "aws:ResourceAccount": ACCOUNT}
    for operator, keys in statement.get("Condition", {}).items():
        for key, value in keys.items():
            if operator == "StringEquals" and known.get(key) not in aslist(value):
                return False
    return True
