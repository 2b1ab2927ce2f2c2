"""Whether the VPC is such that the deployment succeeds in it, and the functions reach what they need."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .ec2 import AMAZON_DNS, Endpoint, Subnet, Vpc, admits_address, refused
from .finding import AWS_FAILURES, Finding, Mistake, aws_code, aws_words, error, ok, skipped, warning

Needed = tuple[tuple[str, str], ...]
"""Actions, each with the ARN that it is on."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where and how the settings put the functions.

    * `subnets`: each with its zone and route table; empty if they are looked up at synth.
    * `s3`, `secrets`, `fabric`: the endpoints: "create", "keep", or `{"id", "securityGroupId"}`; `fabric` is None where
      the nodes are not on Managed Blockchain.
    * `groups`: security groups of the functions; empty if they are made.
    * `interfaces`: how many network interfaces the functions have in each subnet.
    """

    vpc_id: str
    stack: str
    subnets: tuple[Mapping[str, str], ...]
    s3: str
    secrets: str | Mapping[str, str]
    fabric: str | Mapping[str, str] | None
    groups: tuple[str, ...]
    interfaces: int
    dns_servers: tuple[str, ...]
    prefix_list: str | None

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "Placement":
        """Of what `offchain_stack` writes."""
        return cls(
            vpc_id=values["id"],
            stack=values["stack"],
            subnets=tuple(values["subnets"] or ()),
            s3=values["s3Endpoint"],
            secrets=values["secretsManagerEndpoint"],
            fabric=values["fabricEndpoint"],
            groups=tuple(values["securityGroups"] or ()),
            interfaces=values["interfaces"],
            dns_servers=tuple(values["dnsServers"] or ()),
            prefix_list=values["prefixList"],
        )


@dataclass(frozen=True, kw_only=True)
class Services:
    """The services that are reached by endpoints: their names, and what the functions do there. `fabric` is the name of
    the Managed Blockchain network's service; None where that is not known or there is none."""

    region: str
    s3_needed: Needed
    secrets_needed: Needed
    fabric: str | None

    @property
    def s3(self) -> str:
        return f"com.amazonaws.{self.region}.s3"

    @property
    def secrets(self) -> str:
        return f"com.amazonaws.{self.region}.secretsmanager"


def check_vpc(placement: Placement, services: Services) -> Iterator[Finding]:
    """The findings about the VPC. What these credentials may not ask is skipped."""
    vpc = Vpc(placement.vpc_id)
    subject = f"offchain.vpcId {placement.vpc_id}"
    try:
        if "VpcId" not in vpc.description:
            raise LookupError(placement.vpc_id)
    except AWS_FAILURES as failure:
        if aws_code(failure).startswith("InvalidVpcID"):
            yield error(subject, f"does not exist in {services.region}", "Give the id of a VPC of this region.")
        else:
            yield _unknown(subject, failure)
        return
    yield ok(subject, "exists")
    try:
        subnets = _subnets(vpc, placement)
    except Mistake as mistake:
        yield mistake.finding
        return
    except AWS_FAILURES as failure:
        yield _unknown(subject, failure)
        return
    examination = _Examination(vpc, placement, services, subnets)
    for check in (
        examination.dns,
        examination.subnets,
        examination.groups,
        examination.s3_endpoint,
        examination.secrets_endpoint,
        examination.fabric_endpoint,
        examination.prefix_list,
    ):
        try:
            yield from check()
        except AWS_FAILURES as failure:
            yield _unknown(subject, failure)


def check_topic(arn: str, region: str) -> Finding:
    """Whether alarms can be sent to the topic: CloudWatch sends to topics of its own region only."""
    there = arn.split(":")[3]
    if there != region:
        return error(
            "offchain.alarmTopicArn",
            f"is a topic in {there}, and alarms of {region} are sent to topics in {region} only",
            f"Name a topic in {region}.",
        )
    return ok("offchain.alarmTopicArn", f"is a topic in {region}")


def _unknown(subject: str, failure: Exception) -> Finding:
    return skipped(
        subject,
        f"EC2 does not say all that is asked: {aws_words(failure)}",
        "Check with credentials that have ec2:Describe*.",
    )


def _subnets(vpc: Vpc, placement: Placement) -> list[Subnet]:
    """Those of the functions: the named ones, else those that CDK takes. Raises Mistake."""
    if not placement.subnets:
        private = [each for each in vpc.subnets.values() if not each.public]
        if not private:
            raise Mistake(
                f"offchain.vpcId {vpc.id}",
                "has only public subnets, in which a Lambda function has no way to the internet",
                "If endpoints lead to S3, Secrets Manager and the ledger, name the subnets by availabilityZones, "
                "subnetIds and routeTableIds; else add private ones.",
            )
        return [each for each in private if each.has_nat] or private
    for each in placement.subnets:
        if each["id"] not in vpc.subnets:
            raise Mistake(
                f"offchain.subnetIds {each['id']}",
                f"is not a subnet of {vpc.id}",
                f"Name some of {', '.join(vpc.subnets) or 'a VPC that has subnets'}.",
            )
    return [vpc.subnets[each["id"]] for each in placement.subnets]


class _Examination:
    """Checks of a VPC that exists, of the functions' subnets in it."""

    def __init__(self, vpc: Vpc, placement: Placement, services: Services, subnets: Sequence[Subnet]) -> None:
        self._vpc, self._placement, self._services, self._subnets = vpc, placement, services, subnets

    def dns(self) -> Iterator[Finding]:
        """Endpoints are found by the names that the VPC's DNS gives them."""
        subject = f"offchain.vpcId {self._vpc.id}"
        for name, why in (
            ("enableDnsSupport", "without it nothing is found by its name"),
            ("enableDnsHostnames", "without it no endpoint has its private DNS name"),
        ):
            if not self._vpc.attribute(name):
                option = "--enable-dns-" + name.removeprefix("enableDns").lower()
                mend = f"aws ec2 modify-vpc-attribute --vpc-id {self._vpc.id} {option}"
                yield error(subject, f"has {name} off, and {why}", mend)
        own = [each for each in self._vpc.dns_servers if each != AMAZON_DNS]
        if not own:
            yield ok(subject, "asks Amazon's DNS")
        elif self._placement.groups or set(own) <= set(self._placement.dns_servers):
            yield warning(
                subject,
                f"asks DNS servers of its own, {', '.join(own)}, which have to know the endpoints' private names",
                "Let them forward amazonaws.com to Amazon's DNS (the VPC's base address plus two).",
            )
        else:
            yield error(
                subject,
                f"asks DNS servers of its own, {', '.join(own)}, to which the functions are not let out",
                f"Set dnsServers to {list(own)}.".replace("'", '"'),
            )

    def subnets(self) -> Iterator[Finding]:
        """Zones, route tables and free addresses."""
        named = {each["id"]: each for each in self._placement.subnets}
        for subnet in self._subnets:
            wrong = list(self._differences(subnet, named.get(subnet.id)))
            yield from wrong or [
                ok(f"offchain.subnetIds {subnet.id}", f"is in {subnet.zone}, {subnet.free} addresses free")
            ]

    def _differences(self, subnet: Subnet, named: Mapping[str, str] | None) -> Iterator[Finding]:
        subject = f"offchain.subnetIds {subnet.id}"
        if named and subnet.zone != named["zone"]:
            yield error(
                "offchain.availabilityZones",
                f"{subnet.id} is in {subnet.zone}, not in {named['zone']}",
                "Name the zones in the order of subnetIds, as many subnets for each.",
            )
        if named and subnet.table != named["table"]:
            yield error(
                "offchain.routeTableIds",
                f"{subnet.id} has route table {subnet.table}, not {named['table']}",
                "Name each subnet's own, in the order of subnetIds.",
            )
        needed = self._placement.interfaces + self._endpoints_to_make()
        needed -= self._vpc.interfaces_of_functions(subnet.id, self._placement.stack)
        if subnet.free < needed:
            yield error(
                subject,
                f"has {subnet.free} addresses free, and functions and endpoints need {needed} there",
                "Free some, take larger subnets, or let the functions share securityGroupIds: they have one interface "
                "in each subnet then.",
            )

    def _endpoints_to_make(self) -> int:
        return [self._placement.secrets, self._placement.fabric].count("create")

    def groups(self) -> Iterator[Finding]:
        """The functions' own security groups, if they are given."""
        for group in self._placement.groups:
            if group not in self._vpc.groups:
                yield error(
                    f"offchain.securityGroupIds {group}",
                    f"is not a security group of {self._vpc.id}",
                    "Name one of this VPC, or leave securityGroupIds out to have them made.",
                )

    def s3_endpoint(self) -> Iterator[Finding]:
        """A route table leads to S3 by one gateway endpoint."""
        service = self._services.s3
        found = {table: each for each in self._vpc.endpoints if each.service == service for table in each.tables}
        for table in dict.fromkeys(subnet.table for subnet in self._subnets):
            yield self._s3_of(table, found.get(table))

    def _s3_of(self, table: str, endpoint: Endpoint | None) -> Finding:
        subject = f"offchain.s3Endpoint {table}"
        if self._placement.s3 == "create":
            if endpoint is None:
                return ok(subject, "has no S3 endpoint yet")
            return error(
                subject,
                f"has S3 endpoint {endpoint.id} already, and a route table takes one",
                "Set s3Endpoint to keep, and let that endpoint's policy admit the bucket.",
            )
        if endpoint is not None:
            return _admitting(subject, endpoint, self._services.s3_needed)
        if self._endpoint_with_private_dns(self._services.s3) or all(
            subnet.has_nat for subnet in self._subnets if subnet.table == table
        ):
            return ok(subject, "leads to S3 without a gateway endpoint")
        return error(subject, "leads to S3 by no way", "Set s3Endpoint to create, or add a gateway endpoint to it.")

    def secrets_endpoint(self) -> Iterator[Finding]:
        """A VPC takes one endpoint with Secrets Manager's private DNS name."""
        name, service = "offchain.secretsManagerEndpoint", self._services.secrets
        yield from self._interface(name, service, self._placement.secrets, 443, self._services.secrets_needed)

    def fabric_endpoint(self) -> Iterator[Finding]:
        """As for Secrets Manager."""
        if self._placement.fabric is not None and self._services.fabric:
            yield from self._interface(
                "offchain.fabricEndpoint", self._services.fabric, self._placement.fabric, 30_001, ()
            )

    def _interface(
        self, subject: str, service: str, chosen: str | Mapping[str, str], port: int, needed: Needed
    ) -> Iterator[Finding]:
        existing = self._endpoint_with_private_dns(service)
        if chosen == "create":
            yield _new(subject, service, existing)
        elif isinstance(chosen, str):
            yield self._kept(subject, service, existing, port)
            if existing:
                yield _admitting(subject, existing, needed)
        else:
            yield from self._used(subject, service, chosen, needed)

    def _kept(self, subject: str, service: str, existing: Endpoint | None, port: int) -> Finding:
        if existing is None:
            if all(subnet.has_nat for subnet in self._subnets):
                return ok(subject, f"the subnets have a way out, by which {service} is reached")
            return error(subject, f"the subnets lead to {service} by no way", "Set it to create, or name an endpoint.")
        if any(admits_address(self._vpc.groups[group], port) for group in existing.groups):
            return ok(subject, f"{existing.id} leads to {service}")
        return error(
            subject,
            f"the security groups of {existing.id} admit no address on port {port}, and so not the functions",
            f"Set it to {_named(existing)}, so that the functions are let in.",
        )

    def _used(self, subject: str, service: str, chosen: Mapping[str, str], needed: Needed) -> Iterator[Finding]:
        endpoint = next((each for each in self._vpc.endpoints if each.id == chosen["id"]), None)
        if endpoint is None or endpoint.service != service:
            what = f"leads to {endpoint.service}" if endpoint else f"is no endpoint of {self._vpc.id}"
            there = self._endpoint_with_private_dns(service)
            mend = f"Set it to {_named(there)}." if there else "Set it to create, or name an endpoint to this service."
            yield error(
                subject, f"{chosen['id']} {what}, and not to {service}" if endpoint else f"{chosen['id']} {what}", mend
            )
            return
        if chosen["securityGroupId"] not in endpoint.groups:
            yield error(
                subject,
                f"{chosen['securityGroupId']} does not guard {endpoint.id}",
                f"Name one of {', '.join(sorted(endpoint.groups))}.",
            )
        if not endpoint.private_dns:
            yield error(
                subject,
                f"{endpoint.id} has no private DNS name, and the functions use the service's own",
                f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {endpoint.id} --private-dns-enabled",
            )
        yield _admitting(subject, endpoint, needed)

    def prefix_list(self) -> Iterator[Finding]:
        """S3's, which bounds where functions with private keys connect to."""
        subject, given = "offchain.s3PrefixListId", self._placement.prefix_list
        found = self._vpc.prefix_list(self._services.s3)
        if found is None or self._placement.groups:
            return
        if given and given != found:
            yield error(subject, f"{given} is not the prefix list of {self._services.s3}", f"Set it to {found}.")
        elif given:
            yield ok(subject, f"{given} is S3's")
        elif self._placement.subnets:
            yield ok(subject, f"may be {found}: the functions are then let out to S3 alone on port 443")

    def _endpoint_with_private_dns(self, service: str) -> Endpoint | None:
        return next((each for each in self._vpc.endpoints if each.service == service and each.private_dns), None)


def _new(subject: str, service: str, existing: Endpoint | None) -> Finding:
    if existing is None:
        return ok(subject, f"the VPC has no endpoint yet with the private DNS name of {service}")
    return error(
        subject,
        f"the VPC has {existing.id} with the private DNS name of {service}, and takes one",
        f"Set it to {_named(existing)}, and let that endpoint's policy admit what is needed.",
    )


def _named(endpoint: Endpoint) -> str:
    group = min(endpoint.groups, default="<its security group>")
    return f'{{"id": "{endpoint.id}", "securityGroupId": "{group}"}}'


def _admitting(subject: str, endpoint: Endpoint, needed: Needed) -> Finding:
    if missing := refused(endpoint.policy, needed):
        action, arn = missing[0]
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return error(
            subject,
            f"the policy of {endpoint.id} does not admit {action} on {arn}{more}",
            "Let its owner admit it (in settings admittedBuckets or admittedSecrets).",
        )
    return ok(subject, f"{endpoint.id} leads to {endpoint.service}, and its policy admits what is needed")
