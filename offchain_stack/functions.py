"""The Lambda functions, each with a role, a security group and a log group of its own."""

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from .acknowledgements import ANY_RESOURCE, acknowledge, acknowledge_policy, resource
from .endpoint import tcp
from .fabric import FabricNetwork
from .packaging import RUNTIME, code
from .record_type import DONOR, RecordType
from .store import grant_read, grant_sweep, grant_write

_ENVIRONMENT_LIMIT = 4_096
_HTTPS = (443, 443)
_LONGEST_EXECUTION = 60
"""Seconds after which no execution of the create flow, nor a function it started, runs any more."""


class _VpcFunction(Construct):
    """A Lambda function in the VPC with a role and a log group of its own, and a security group unless some are given:
    those must let it out to HTTPS and to the ledger's ports."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        handler: str,
        code: lambda_.Code,
        description: str,
        environment: Mapping[str, str],
        ports: Sequence[tuple[int, int]],
        vpc: ec2.IVpc,
        subnets: ec2.SubnetSelection | None,
        security_groups: Sequence[ec2.ISecurityGroup] | None,
        memory_size: int,
        timeout: cdk.Duration,
        reserved_concurrency: int | None,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, id)
        size = sum(len(name) + len(value) for name, value in environment.items())
        if size > _ENVIRONMENT_LIMIT:
            raise ValueError(
                f"tls_roots, users or record_type: together {size} characters, and a Lambda environment holds "
                f"{_ENVIRONMENT_LIMIT}; give tls_roots as 's3://bucket/key'"
            )
        self.log_group = logs.LogGroup(self, "Logs", retention=log_retention)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
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
        self.security_groups = list(security_groups or [self._make_security_group(vpc, description, ports)])
        self.function = lambda_.Function(
            self,
            "Function",
            runtime=RUNTIME,
            architecture=lambda_.Architecture.X86_64,
            handler=handler,
            code=code,
            description=description,
            environment=dict(environment),
            memory_size=memory_size,
            timeout=timeout,
            vpc=vpc,
            vpc_subnets=subnets,
            security_groups=self.security_groups,
            role=self.role,
            log_group=self.log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            tracing=lambda_.Tracing.ACTIVE,
            reserved_concurrent_executions=reserved_concurrency,
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

    def _make_security_group(
        self, vpc: ec2.IVpc, description: str, ports: Sequence[tuple[int, int]]
    ) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(self, "SecurityGroup", vpc=vpc, description=description, allow_all_outbound=False)
        for each in ports:
            group.add_egress_rule(ec2.Peer.any_ipv4(), tcp(each))
        return group

    def _reach(self, network: FabricNetwork, *, ledger: bool) -> None:
        """Let the function through the security groups of the network's endpoints."""
        for group in self.security_groups:
            network.allow_secrets_from(group)
            if ledger:
                network.allow_ledger_from(group)

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` invoke the function, in its unqualified form only."""
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=["lambda:InvokeFunction"], resource_arns=[self.function.function_arn]
        )


class UploadFunction(_VpcFunction):
    """The function that checks a request and writes its data to the bucket, once a submission.

    It may write under the record type's prefix and read the users' certificates (to know the transaction id before
    anything is sent); no private key. Exposes `function`, `role`, `security_groups` and `log_group`.

    * `plan_transactions`: False where an existing function submits, which chooses transaction ids of its own. No
      certificate is read then.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        bucket: s3.IBucket,
        network: FabricNetwork,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        record_type: RecordType = DONOR,
        plan_transactions: bool = True,
        memory_size: int = 512,
        timeout: cdk.Duration | None = None,
        reserved_concurrency: int | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        super().__init__(
            scope,
            id,
            handler="upload_object.handler.handler",
            code=code("upload_object", exclude=["shared/ledger"]),
            description=f"Writes the {record_type.data_field} of a {record_type.name} to S3",
            environment=record_type.to_environment()
            | record_type.callable_environment()
            | network.identities_environment
            | network.ledger_environment
            | {"S3_BUCKET": bucket.bucket_name}
            | ({} if plan_transactions else {"PLAN_TRANSACTIONS": "false"})
            | _log_environment("upload"),
            ports=[_HTTPS],
            vpc=vpc,
            subnets=subnets,
            security_groups=security_groups,
            memory_size=memory_size,
            timeout=timeout or cdk.Duration.seconds(10),
            reserved_concurrency=reserved_concurrency,
            log_retention=log_retention,
        )
        grant_write(bucket, record_type, self.function)
        acknowledge_policy(
            self.role,
            {
                resource(
                    self, bucket.arn_for_objects(f"{record_type.key_prefix}*")
                ): "Each submission has an object of its own below the prefix; the name is not known before."
            },
        )
        if plan_transactions:
            network.grant_read_certificates(self.function)
            self._reach(network, ledger=False)


class _LedgerFunction(_VpcFunction):
    """A function that signs as the deployment's users: it may read their certificates and private keys, and the TLS
    roots where they are in S3."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        source: str,
        service: str,
        description: str,
        vpc: ec2.IVpc,
        network: FabricNetwork,
        subnets: ec2.SubnetSelection | None,
        security_groups: Sequence[ec2.ISecurityGroup] | None,
        record_type: RecordType,
        memory_size: int,
        timeout: cdk.Duration,
        log_retention: logs.RetentionDays,
        environment: Mapping[str, str] | None = None,
        reserved_concurrency: int | None = None,
    ) -> None:
        super().__init__(
            scope,
            id,
            handler=f"{source}.handler.handler",
            code=code(source),
            description=description,
            environment=record_type.to_environment()
            | network.identities_environment
            | network.network_environment
            | dict(environment or {})
            | _log_environment(service),
            ports=sorted({_HTTPS, *network.ports}),
            vpc=vpc,
            subnets=subnets,
            security_groups=security_groups,
            memory_size=memory_size,
            timeout=timeout,
            reserved_concurrency=reserved_concurrency,
            log_retention=log_retention,
        )
        network.grant_read_identities(self.function)
        network.grant_read_tls_roots(self.function)
        self._reach(network, ledger=True)


class ChaincodeFunction(_LedgerFunction):
    """The function that invokes the chaincode, waits for the ledger's verdict, and says what is certain.

    It may read the users' certificates and private keys, and the TLS roots where they are in S3; not the bucket.
    Exposes `function`, `role`, `security_groups` and `log_group`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        network: FabricNetwork,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        record_type: RecordType = DONOR,
        memory_size: int = 1024,
        timeout: cdk.Duration | None = None,
        reserved_concurrency: int | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        super().__init__(
            scope,
            id,
            source="invoke_chaincode",
            service="chaincode",
            description=f"Invokes chaincode for a {record_type.name} and waits for the verdict",
            environment=record_type.callable_environment(),
            vpc=vpc,
            network=network,
            subnets=subnets,
            security_groups=security_groups,
            record_type=record_type,
            memory_size=memory_size,
            timeout=timeout or cdk.Duration.seconds(18),
            reserved_concurrency=reserved_concurrency,
            log_retention=log_retention,
        )


class QueryFunction(_LedgerFunction):
    """The function that reads records and transactions from the ledger.

    It may read the users' certificates and private keys (Fabric answers only signed queries), and the TLS roots where
    they are in S3; not the bucket. `memory_size` bounds how long a list of records it can read.
    Exposes `function`, `role`, `security_groups` and `log_group`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        network: FabricNetwork,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        record_type: RecordType = DONOR,
        memory_size: int = 1024,
        timeout: cdk.Duration | None = None,
        reserved_concurrency: int | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        super().__init__(
            scope,
            id,
            source="query_ledger",
            service="query",
            description=f"Reads {record_type.path} and transactions from the ledger",
            vpc=vpc,
            network=network,
            subnets=subnets,
            security_groups=security_groups,
            record_type=record_type,
            memory_size=memory_size,
            timeout=timeout or cdk.Duration.seconds(22),
            reserved_concurrency=reserved_concurrency,
            log_retention=log_retention,
        )


class VerifyFunction(_VpcFunction):
    """The function that holds a record's object against the ledger's hash, and signs a URL to the verified version.

    It may list and read versions under the record type's prefix; no secret, no ledger. Exposes `function`, `role`,
    `security_groups` and `log_group`.

    * `url_expires`: how long a URL is good for; it ends earlier where the function's own credentials do.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        bucket: s3.IBucket,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        record_type: RecordType = DONOR,
        url_expires: cdk.Duration | None = None,
        memory_size: int = 1024,
        timeout: cdk.Duration | None = None,
        reserved_concurrency: int | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        super().__init__(
            scope,
            id,
            handler="verify_object.handler.handler",
            code=code("verify_object", exclude=["shared/ledger"]),
            description=f"Verifies the {record_type.data_field} of a {record_type.name} against its hash on the ledger",
            environment=record_type.to_environment()
            | {
                "S3_BUCKET": bucket.bucket_name,
                "URL_EXPIRES_SECONDS": str((url_expires or cdk.Duration.minutes(5)).to_seconds()),
            }
            | _log_environment("verify"),
            ports=[_HTTPS],
            vpc=vpc,
            subnets=subnets,
            security_groups=security_groups,
            memory_size=memory_size,
            timeout=timeout or cdk.Duration.seconds(20),
            reserved_concurrency=reserved_concurrency,
            log_retention=log_retention,
        )
        _allow_read(self, bucket, record_type)


class VerifyAllFunction(_LedgerFunction):
    """The function that verifies every record's object, one batch an invocation.

    It may sign as the users, and list and read versions under the record type's prefix. Exposes `function`, `role`,
    `security_groups` and `log_group`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        bucket: s3.IBucket,
        network: FabricNetwork,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        record_type: RecordType = DONOR,
        memory_size: int = 1024,
        timeout: cdk.Duration | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        super().__init__(
            scope,
            id,
            source="verify_all",
            service="verify-all",
            description=f"Verifies all {record_type.path} against their hashes on the ledger",
            environment={"S3_BUCKET": bucket.bucket_name},
            vpc=vpc,
            network=network,
            subnets=subnets,
            security_groups=security_groups,
            record_type=record_type,
            memory_size=memory_size,
            timeout=timeout or cdk.Duration.minutes(5),
            log_retention=log_retention,
        )
        _allow_read(self, bucket, record_type)


class SweepFunction(_LedgerFunction):
    """The function that settles object versions left without a verdict, one batch an invocation.

    It may list, read, tag and delete versions under the record type's prefix, and sign as the users: it asks the ledger
    and uses up transaction ids that must not commit any more.

    * `minimum_age`: younger versions are left alone. It must exceed the 28 seconds of an execution by far.
    * `unretirable_age`: how old a version must be to be deleted where the certificate that planned its transaction is
      no longer the user's, so that the id cannot be used up. It must exceed what an orderer may hold an envelope for.
    * `look_back`: older versions are passed over, as earlier sweeps have settled them.

    Exposes `function`, `role`, `security_groups` and `log_group`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        bucket: s3.IBucket,
        network: FabricNetwork,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        record_type: RecordType = DONOR,
        minimum_age: cdk.Duration | None = None,
        unretirable_age: cdk.Duration | None = None,
        look_back: cdk.Duration | None = None,
        memory_size: int = 512,
        timeout: cdk.Duration | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        minimum_age = minimum_age or cdk.Duration.minutes(15)
        if minimum_age.to_seconds() < _LONGEST_EXECUTION:
            raise ValueError(
                f"minimum_age: an execution may run for {_LONGEST_EXECUTION} seconds; try Duration.minutes(15)"
            )
        super().__init__(
            scope,
            id,
            source="sweep",
            service="sweep",
            description=f"Settles {record_type.name} objects that were left without a verdict",
            environment=network.ledger_environment
            | {
                "S3_BUCKET": bucket.bucket_name,
                "MINIMUM_AGE_SECONDS": str(minimum_age.to_seconds()),
                "UNRETIRABLE_AGE_SECONDS": str((unretirable_age or cdk.Duration.days(1)).to_seconds()),
                "LOOK_BACK_DAYS": str((look_back or cdk.Duration.days(14)).to_days()),
            },
            vpc=vpc,
            network=network,
            subnets=subnets,
            security_groups=security_groups,
            record_type=record_type,
            memory_size=memory_size,
            timeout=timeout or cdk.Duration.minutes(5),
            log_retention=log_retention,
        )
        grant_sweep(bucket, record_type, self.function)
        acknowledge_policy(
            self.role,
            {
                resource(
                    self, bucket.arn_for_objects(f"{record_type.key_prefix}*")
                ): "Settles whatever version lies below the prefix; the names are not known before."
            },
        )


def _allow_read(function: _VpcFunction, bucket: s3.IBucket, record_type: RecordType) -> None:
    grant_read(bucket, record_type, function.function)
    acknowledge_policy(
        function.role,
        {
            resource(
                function, bucket.arn_for_objects(f"{record_type.key_prefix}*")
            ): "Reads whatever version lies below the prefix; the names are not known before."
        },
    )


def _log_environment(service: str) -> dict[str, str]:
    return {"POWERTOOLS_SERVICE_NAME": f"offchain-{service}", "POWERTOOLS_LOG_LEVEL": "INFO"}
