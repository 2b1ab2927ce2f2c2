"""A Lambda function of ours: in the VPC, with a role, a security group and a log group of its own."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Required, TypedDict

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from .acknowledgements import ANY_RESOURCE, acknowledge, acknowledge_policy, resource
from .endpoint import tcp
from .fabric import FabricNetwork
from .log_group import kept_log_group
from .packaging import RUNTIME, code
from .record_type import RecordType
from .trust import lambda_service
from .ways import HTTPS, Way, distinct

METRIC_NAMESPACE = "OffChainStack"
"""Of the metrics that the functions emit themselves."""

IN_PUBLIC_SUBNETS = (
    "a Lambda function in a public subnet has no public address: it reaches the VPC and its endpoints, and not the "
    "internet. Choose private subnets. Or, if endpoints lead to S3, Secrets Manager and the ledger,"
)
"""What is wrong with public subnets; the way out by naming them follows."""

_ENVIRONMENT_LIMIT = 4_096
_DNS = 53


class FunctionOptions(TypedDict, total=False):
    """What every function takes.

    * `vpc`: where it runs; required.
    * `subnets`: which of its subnets; by default the private ones. A function has no public address, so that public
      ones are refused.
    * `security_groups`: must let the function out to HTTPS and to the ledger's ports; by default one is made, which
      lets it out to what it needs, as narrowly as that is known.
    * `s3_prefix_list`: that of S3 in the region (`com.amazonaws.<region>.s3`), so that the group made lets the function
      out to S3 alone where it would otherwise be any address on port 443; none by default.
    * `dns_servers`: addresses (IPv4, or ranges in CIDR form) of the VPC's own DNS servers, to which the group made lets
      the function out; none by default, as Amazon's need no rule.
    * `memory_size`: MiB; Lambda gives a share of a processor in proportion. The default is the function's own.
    * `timeout`: by default the function's own, which fits into the workflow's time.
    * `reserved_concurrency`: how many may run at once; by default the account's limit.
    * `log_retention`: how long the logs are kept; three months by default.
    """

    vpc: Required[ec2.IVpc]
    subnets: ec2.SubnetSelection | None
    security_groups: Sequence[ec2.ISecurityGroup] | None
    s3_prefix_list: ec2.IPrefixList | None
    dns_servers: Sequence[str] | None
    memory_size: int | None
    timeout: cdk.Duration | None
    reserved_concurrency: int | None
    log_retention: logs.RetentionDays


@dataclass(frozen=True, kw_only=True)
class FunctionLimits:
    """What one function of `OffChainRecords` may use. What is None stays the function's own.

    * `memory_size` (int, None): MiB, 128 to 10,240; Lambda gives a share of a processor in proportion.
    * `timeout` (Duration, None): of one invocation. Workflows wait for 10 seconds for the upload function, for 18 for
      the chaincode function, for 22 for those that query and verify: longer ones are refused. Sweep and verify-all may
      have up to 15 minutes.
    * `reserved_concurrency` (int, None): how many may run at once, taken from the account's quota for this function
      alone; by default it shares the account's.
    * `log_retention` (RetentionDays, None): how long its logs are kept.

    Raises ValueError that names the prop which is out of range.
    """

    memory_size: int | None = None
    timeout: cdk.Duration | None = None
    reserved_concurrency: int | None = None
    log_retention: logs.RetentionDays | None = None

    def __post_init__(self) -> None:
        if self.memory_size is not None and not 128 <= self.memory_size <= 10_240:
            raise ValueError(f"memory_size: {self.memory_size} must be from 128 to 10,240")
        if self.timeout is not None and not 1 <= self.timeout.to_seconds() <= 900:
            raise ValueError(f"timeout: {self.timeout.to_seconds()} seconds must be from 1 to 900")
        if self.reserved_concurrency is not None and self.reserved_concurrency < 0:
            raise ValueError(f"reserved_concurrency: {self.reserved_concurrency} must not be below 0")

    def over(self, options: FunctionOptions) -> FunctionOptions:
        """`options`, with what is set here in their place."""
        made = options.copy()
        made["memory_size"] = self.memory_size
        made["timeout"] = self.timeout
        made["reserved_concurrency"] = self.reserved_concurrency
        if self.log_retention is not None:
            made["log_retention"] = self.log_retention
        return made


LONGEST_TIMEOUTS = {"upload": 10, "chaincode": 18, "query": 22, "verify": 22, "sweep": 900, "verify_all": 900}
"""Seconds of each function of a record type: what its workflow waits for, or Lambda's own limit."""


class VpcFunction(Construct):
    """The base of the functions. Exposes `function`, `role`, `security_groups` and `log_group`."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        source: str,
        service: str,
        description: str,
        record_type: RecordType,
        environment: Mapping[str, str],
        memory_size: int,
        timeout: cdk.Duration,
        options: FunctionOptions,
        exclude: Sequence[str] = (),
        ways: Sequence[Way] = (),
        uses_s3: bool = True,
    ) -> None:
        super().__init__(scope, id)
        self._service, self._record_type = f"offchain-{service}", record_type
        variables = {
            **record_type.to_environment(),
            **environment,
            "POWERTOOLS_SERVICE_NAME": self._service,
            "POWERTOOLS_LOG_LEVEL": "INFO",
        }
        size = sum(len(name) + len(value) for name, value in variables.items())
        if size > _ENVIRONMENT_LIMIT:
            raise ValueError(
                f"tls_roots, users, callers or record_type: together {size} characters, and a Lambda environment holds "
                f"{_ENVIRONMENT_LIMIT}; give tls_roots as 's3://bucket/key'"
            )
        self.log_group = kept_log_group(
            self, "Logs", retention=options.get("log_retention", logs.RetentionDays.THREE_MONTHS)
        )
        self.role = iam.Role(self, "Role", assumed_by=lambda_service(self))
        self.log_group.grant_write(self.role)
        # What Lambda itself needs to attach the function to the VPC; EC2 has no narrower resource for it.
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    "ec2:AssignPrivateIpAddresses",
                    "ec2:CreateNetworkInterface",
                    "ec2:DeleteNetworkInterface",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeSubnets",
                    "ec2:UnassignPrivateIpAddresses",
                ],
                resources=["*"],
            )
        )
        _require_private(options["vpc"], options.get("subnets"))
        self.security_groups = list(
            options.get("security_groups")
            or [self._make_security_group(options, description, [*ways, *(_ways_to_s3(options) if uses_s3 else ())])]
        )
        self.function = lambda_.Function(
            self,
            "Function",
            runtime=RUNTIME,
            architecture=lambda_.Architecture.X86_64,
            handler=f"{source}.handler.handler",
            code=code(source, exclude=exclude),
            description=description,
            environment=variables,
            memory_size=options.get("memory_size") or memory_size,
            timeout=options.get("timeout") or timeout,
            vpc=options["vpc"],
            vpc_subnets=options.get("subnets"),
            security_groups=self.security_groups,
            role=self.role,
            log_group=self.log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            tracing=lambda_.Tracing.ACTIVE,
            reserved_concurrent_executions=options.get("reserved_concurrency"),
        )
        acknowledge(
            self.function,
            {"L1": "Python 3.13 is supported until 2029; the locked packages with compiled parts are for it."},
        )
        acknowledge_policy(
            self.role,
            {
                ANY_RESOURCE: "EC2 network interfaces for the VPC (denied to the function's own code) and X-Ray "
                "segments have no resource to name."
            },
        )
        # The role lets Lambda manage network interfaces; the function's own code must not.
        iam.Policy(
            self,
            "NoNetworkInterfacesForCode",
            roles=[self.role],
            statements=[
                iam.PolicyStatement(
                    effect=iam.Effect.DENY,
                    actions=["ec2:*"],
                    resources=["*"],
                    conditions={"ArnEquals": {"lambda:SourceFunctionArn": self.function.function_arn}},
                )
            ],
        )

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` invoke the function, in its unqualified form only."""
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=["lambda:InvokeFunction"], resource_arns=[self.function.function_arn]
        )

    def metric(self, name: str, **options: Any) -> cloudwatch.Metric:
        """Lambda's metric `name` of the function, such as `Errors`; `options` are those of
        `aws_cloudwatch.MetricOptions`."""
        return self.function.metric(name, **options)

    def metric_emitted(self, name: str, **options: Any) -> cloudwatch.Metric:
        """A metric `name` that the function emits itself, such as `OutcomeUnknown`: how each invocation ended, and what
        it counts or measures. `docs/runbook.md` lists them under "Metrics". `options` are those of
        `aws_cloudwatch.MetricOptions`; the statistic is the sum by default."""
        return cloudwatch.Metric(
            namespace=METRIC_NAMESPACE,
            metric_name=name,
            dimensions_map={
                "service": self._service,
                "RecordType": self._record_type.name,
                "FunctionName": self.function.function_name,
            },
            **{"statistic": "Sum", **options},
        )

    def _make_security_group(
        self, options: FunctionOptions, description: str, ways: Sequence[Way]
    ) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self, "SecurityGroup", vpc=options["vpc"], description=description, allow_all_outbound=False
        )
        for peer, ports in distinct(ways):
            group.add_egress_rule(peer, tcp(ports))
        for server in options.get("dns_servers") or ():
            for port in (ec2.Port.udp(_DNS), ec2.Port.tcp(_DNS)):
                group.add_egress_rule(_address(server), port)
        return group

    def _reach(self, network: FabricNetwork, *, ledger: bool) -> None:
        """Let the function through the security groups of the network's endpoints."""
        for group in self.security_groups:
            network.allow_secrets_from(group)
            if ledger:
                network.allow_ledger_from(group)

    def _acknowledge_prefix(self, bucket: s3.IBucket, record_type: RecordType, reason: str) -> None:
        arn = bucket.arn_for_objects(f"{record_type.key_prefix}*")
        acknowledge_policy(self.role, {resource(self, arn): reason})


def _require_private(vpc: ec2.IVpc, subnets: ec2.SubnetSelection | None) -> None:
    parts = ("availability_zones", "one_per_az", "subnet_filters", "subnet_group_name", "subnet_type", "subnets")
    selection = {part: getattr(subnets, part) for part in parts} if subnets else {}
    if vpc.select_subnets(**selection).has_public:
        raise ValueError(
            f"subnets: {IN_PUBLIC_SUBNETS} name the public ones as the private ones of an imported VPC: "
            "Vpc.from_vpc_attributes(private_subnet_ids=...)"
        )


def _ways_to_s3(options: FunctionOptions) -> list[Way]:
    known = options.get("s3_prefix_list")
    return [(ec2.Peer.prefix_list(known.prefix_list_id) if known else ec2.Peer.any_ipv4(), HTTPS)]


def _address(server: str) -> ec2.IPeer:
    if cdk.Token.is_unresolved(server):
        return ec2.Peer.ipv4(server)
    try:
        return ec2.Peer.ipv4(str(ipaddress.IPv4Network(server)))
    except ValueError as error:
        raise ValueError(f"dns_servers: {server!r} is neither an IPv4 address nor a range: {error}") from error


class LedgerFunction(VpcFunction):
    """The base of the functions that sign as the deployment's users: they may read the users' certificates and private
    keys, and the TLS roots where they are in S3."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        source: str,
        service: str,
        description: str,
        network: FabricNetwork,
        record_type: RecordType,
        memory_size: int,
        timeout: cdk.Duration,
        options: FunctionOptions,
        environment: Mapping[str, str] | None = None,
        uses_bucket: bool = False,
    ) -> None:
        super().__init__(
            scope,
            id,
            source=source,
            service=service,
            description=description,
            record_type=record_type,
            environment=network.identities_environment | network.network_environment | dict(environment or {}),
            ways=[*network.ways_to_secrets, *network.ways_to_ledger],
            uses_s3=uses_bucket or network.tls_roots_arn is not None,
            memory_size=memory_size,
            timeout=timeout,
            options=options,
        )
        network.grant_read_identities(self.function)
        network.grant_read_tls_roots(self.function)
        self._reach(network, ledger=True)
