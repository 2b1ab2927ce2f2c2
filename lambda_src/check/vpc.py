"""Whether the VPC is such that the deployment succeeds in it, and the functions reach what they need."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .account import identity, region
from .deployment import REGION, Deployment
from .ec2 import AMAZON_DNS, Endpoint, Subnet, Vpc, lets_in, refused
from .finding import AWS_FAILURES, Finding, Mistake, aws_code, aws_words, error, ok, skipped, warning
from .placement import Placement

Needed = tuple[tuple[str, str], ...]
"""Actions, each with the ARN that it is on."""

_ON_OBJECTS = (
    "DeleteObjectVersion",
    "GetObject",
    "GetObjectVersion",
    "GetObjectVersionTagging",
    "PutObject",
    "PutObjectVersionTagging",
)


@dataclass(frozen=True, kw_only=True)
class Services:
    """The services that are reached by endpoints: their names, and what the functions do there. `fabric` is None where
    the Managed Blockchain network's service is not known or there is none."""

    s3: str
    secrets: str
    fabric: str | None
    s3_needed: Needed
    secrets_needed: Needed

    @classmethod
    def of(cls, deployment: Deployment, fabric: str | None) -> "Services":
        return cls(
            s3=f"com.amazonaws.{region()}.s3",
            secrets=f"com.amazonaws.{region()}.secretsmanager",
            fabric=fabric,
            s3_needed=tuple(_needed_in_s3(deployment)),
            secrets_needed=tuple(_needed_secrets(deployment)),
        )


def _needed_in_s3(deployment: Deployment) -> Iterator[tuple[str, str]]:
    partition, _ = identity()
    placement = deployment.placement
    # As CloudFormation names the bucket that the stack makes.
    made = f"{placement.stack.lower()[:24]}-storebucket4fbde984-123456789012" if placement else ""
    bucket = f"arn:{partition}:s3:::{deployment.bucket or made}"
    for record_type in deployment.record_types:
        for action in _ON_OBJECTS:
            yield f"s3:{action}", f"{bucket}/{record_type.key_prefix}..."
    yield "s3:ListBucketVersions", bucket
    roots: str = deployment.network["tlsRoots"]
    if roots.startswith("s3://"):
        location = roots.removeprefix("s3://").replace(REGION, region())
        yield "s3:GetObject", f"arn:{partition}:s3:::{location}"


def _needed_secrets(deployment: Deployment) -> Iterator[tuple[str, str]]:
    partition, account = identity()
    prefix = f"arn:{partition}:secretsmanager:{region()}:{account}:secret:"
    for secret in (name for secrets in deployment.users.values() for name in secrets.values()):
        arn = secret if secret.startswith("arn:") else f"{prefix}{secret}"
        # Secrets Manager ends a whole ARN with six characters of its own.
        is_whole = secret.startswith("arn:") and re.fullmatch(r".+-[A-Za-z0-9]{6}", secret)
        yield "secretsmanager:GetSecretValue", arn if is_whole else f"{arn}-a1B2c3"


def check_vpc(deployment: Deployment, fabric: str | None) -> Iterator[Finding]:
    """The findings about the VPC; `fabric` is the name of the Managed Blockchain network's service, if it is known.
    What these credentials may not ask is skipped."""
    placement = deployment.placement
    if placement is None:
        return
    vpc, subject = Vpc(placement.vpc_id, placement.stack), f"offchain.vpcId {placement.vpc_id}"
    try:
        vpc.require()
        yield ok(subject, "exists")
        subnets = _subnets(vpc, placement)
    except Mistake as mistake:
        yield mistake.finding
    except AWS_FAILURES as failure:
        yield _failed(subject, failure)
    else:
        for check in _Examination(vpc, placement, Services.of(deployment, fabric), subnets).checks():
            try:
                yield from check()
            except AWS_FAILURES as failure:
                yield _failed(subject, failure)


def check_topic(subject: str, arn: str) -> Finding:
    """Whether alarms can be sent to the topic: CloudWatch sends to topics of its own region only."""
    there, here = arn.split(":")[3], region()
    if there != here:
        what = f"is a topic in {there}, and alarms of {here} are sent to topics in {here} only"
        return error(subject, what, f"Name a topic in {here}.")
    return ok(subject, f"is a topic in {here}")


def _failed(subject: str, failure: Exception) -> Finding:
    if aws_code(failure).startswith("InvalidVpcID"):
        return error(subject, f"does not exist in {region()}", "Give the id of a VPC of this account and region.")
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

    def checks(self) -> Sequence[Callable[[], Iterator[Finding]]]:
        """Each asks EC2 for something else, so that one that may not leaves the others."""
        return (
            self.dns,
            self.subnets,
            self.groups,
            self.s3_endpoint,
            self.secrets_endpoint,
            self.fabric_endpoint,
            self.prefix_list,
        )

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
        needed -= self._vpc.interfaces_of_functions(subnet.id)
        if subnet.free < needed:
            yield error(
                subject,
                f"has {subnet.free} addresses free, and functions and endpoints need {needed} there",
                "Free some, take larger subnets, or let the functions share securityGroupIds: they have one interface "
                "in each subnet then.",
            )

    def _endpoints_to_make(self) -> int:
        asked = [self._placement.secrets, self._placement.fabric].count("create")
        return asked - sum(each.own and not each.is_gateway for each in self._vpc.endpoints)

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
            if endpoint is None or endpoint.own:
                return ok(subject, "has no S3 endpoint of somebody else's")
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
        groups = [self._vpc.groups[group] for group in existing.groups if group in self._vpc.groups]
        if any(lets_in(group, port, self._placement.groups) for group in groups):
            return ok(subject, f"{existing.id} leads to {service}")
        return error(
            subject,
            f"the security groups of {existing.id} do not let the functions in on port {port}",
            f"Set it to {_named(existing)}, so that the functions are let in.",
        )

    def _used(self, subject: str, service: str, chosen: Mapping[str, str], needed: Needed) -> Iterator[Finding]:
        endpoint = next((each for each in self._vpc.endpoints if each.id == chosen["id"]), None)
        if endpoint is None or endpoint.service != service:
            leads = f"leads to {endpoint.service}" if endpoint else f"is no endpoint of {self._vpc.id}"
            there = self._endpoint_with_private_dns(service)
            mend = f"Set it to {_named(there)}." if there else "Set it to create, or name an endpoint to it."
            yield error(subject, f"{chosen['id']} {leads}, and {service} is meant", mend)
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
    if existing is None or existing.own:
        return ok(subject, f"nobody else's endpoint has the private DNS name of {service}")
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
