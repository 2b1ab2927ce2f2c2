"""The Lambda functions of a record type."""

from typing import Unpack

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from .callers import Callers
from .fabric import FabricNetwork
from .function import FunctionOptions, LedgerFunction, VpcFunction
from .record_type import DONOR, RecordType
from .store import grant_read, grant_sweep, grant_write, require_versions

_LONGEST_EXECUTION = 60
"""Seconds after which no execution of the create flow, nor a function it started, runs any more."""

_READS = "Reads whatever version lies below the prefix; the names are not known before."


class UploadFunction(VpcFunction):
    """The function that checks a request and writes its data to the bucket, once a submission.

    It may write under the record type's prefix and read the users' certificates (to know the transaction id before
    anything is sent); no private key. Exposes `function`, `role`, `security_groups`, `log_group` and `callers`.

    * `bucket`: where the data goes; versioned.
    * `network`: the ledger, and its users.
    * `record_type`: what is recorded; donors by default.
    * `callers`: binds callers to Fabric users, and must be the same at the `RecordApi` or `ExistingMethod`, which
      compare them; by default a request names any user of the network.
    * `plan_transactions`: False where an existing function submits, which chooses transaction ids of its own. No
      certificate is read then. True by default.
    * `options`: those of `FunctionOptions`, by default 512 MiB and 10 seconds.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        bucket: s3.IBucket,
        network: FabricNetwork,
        record_type: RecordType = DONOR,
        callers: Callers | None = None,
        plan_transactions: bool = True,
        **options: Unpack[FunctionOptions],
    ) -> None:
        self.callers = callers
        if callers:
            callers.require_users([user.name for user in network.users])
        super().__init__(
            scope,
            id,
            source="upload_object",
            service="upload",
            description=f"Writes the {record_type.data_field} of a {record_type.name} to S3",
            exclude=["shared/ledger"],
            record_type=record_type,
            environment=record_type.callable_environment()
            | network.identities_environment
            | network.ledger_environment
            | {"S3_BUCKET": bucket.bucket_name}
            | (callers.to_environment() if callers else {})
            | ({} if plan_transactions else {"PLAN_TRANSACTIONS": "false"}),
            memory_size=512,
            timeout=cdk.Duration.seconds(10),
            options=options,
            ways=network.ways_to_secrets if plan_transactions else (),
        )
        require_versions(self, bucket)
        grant_write(bucket, record_type, self.function)
        self._acknowledge_prefix(
            bucket,
            record_type,
            "Each submission has an object of its own below the prefix; the name is not known before.",
        )
        if plan_transactions:
            network.grant_read_certificates(self.function)
            self._reach(network, ledger=False)


class ChaincodeFunction(LedgerFunction):
    """The function that invokes the chaincode, waits for the ledger's verdict, and says what is certain.

    It may read the users' certificates and private keys, and the TLS roots where they are in S3; not the bucket.
    Exposes `function`, `role`, `security_groups` and `log_group`.

    * `network`: the ledger, and its users.
    * `record_type`: what is recorded; donors by default.
    * `options`: those of `FunctionOptions`, by default 512 MiB and 18 seconds.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        network: FabricNetwork,
        record_type: RecordType = DONOR,
        **options: Unpack[FunctionOptions],
    ) -> None:
        super().__init__(
            scope,
            id,
            source="invoke_chaincode",
            service="chaincode",
            description=f"Invokes chaincode for a {record_type.name} and waits for the verdict",
            environment=record_type.callable_environment(),
            network=network,
            record_type=record_type,
            memory_size=512,
            timeout=cdk.Duration.seconds(18),
            options=options,
        )


class QueryFunction(LedgerFunction):
    """The function that reads records and transactions from the ledger.

    It may read the users' certificates and private keys (Fabric answers only signed queries), and the TLS roots where
    they are in S3; not the bucket. Exposes `function`, `role`, `security_groups` and `log_group`.

    * `network`: the ledger, and its users.
    * `record_type`: what is read; donors by default.
    * `options`: those of `FunctionOptions`, by default 1,024 MiB (which bounds how long a list of records it can read)
      and 22 seconds.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        network: FabricNetwork,
        record_type: RecordType = DONOR,
        **options: Unpack[FunctionOptions],
    ) -> None:
        super().__init__(
            scope,
            id,
            source="query_ledger",
            service="query",
            description=f"Reads {record_type.path} and transactions from the ledger",
            network=network,
            record_type=record_type,
            memory_size=1024,
            timeout=cdk.Duration.seconds(22),
            options=options,
        )


class VerifyFunction(VpcFunction):
    """The function that holds a record's object against the ledger's hash, and signs a URL to the verified version.

    It may list and read versions under the record type's prefix; no secret, no ledger. Exposes `function`, `role`,
    `security_groups` and `log_group`.

    * `bucket`: where the data is.
    * `record_type`: what is verified; donors by default.
    * `url_expires`: how long a URL is good for, five minutes by default; it ends earlier where the function's own
      credentials do.
    * `options`: those of `FunctionOptions`, by default 1,024 MiB and 20 seconds.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        bucket: s3.IBucket,
        record_type: RecordType = DONOR,
        url_expires: cdk.Duration | None = None,
        **options: Unpack[FunctionOptions],
    ) -> None:
        super().__init__(
            scope,
            id,
            source="verify_object",
            service="verify",
            description=f"Verifies the {record_type.data_field} of a {record_type.name} against its hash on the ledger",
            exclude=["shared/ledger"],
            record_type=record_type,
            environment={
                "S3_BUCKET": bucket.bucket_name,
                "URL_EXPIRES_SECONDS": str((url_expires or cdk.Duration.minutes(5)).to_seconds()),
            },
            memory_size=1024,
            timeout=cdk.Duration.seconds(20),
            options=options,
        )
        grant_read(bucket, record_type, self.function)
        self._acknowledge_prefix(bucket, record_type, _READS)


class VerifyAllFunction(LedgerFunction):
    """The function that verifies every record's object, one batch an invocation.

    It may sign as the users, and list and read versions under the record type's prefix. Exposes `function`, `role`,
    `security_groups` and `log_group`.

    * `bucket`: where the data is.
    * `network`: the ledger, and its users.
    * `record_type`: what is verified; donors by default.
    * `options`: those of `FunctionOptions`, by default 1,024 MiB and five minutes.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        bucket: s3.IBucket,
        network: FabricNetwork,
        record_type: RecordType = DONOR,
        **options: Unpack[FunctionOptions],
    ) -> None:
        super().__init__(
            scope,
            id,
            source="verify_all",
            service="verify-all",
            description=f"Verifies all {record_type.path} against their hashes on the ledger",
            environment={"S3_BUCKET": bucket.bucket_name},
            network=network,
            record_type=record_type,
            memory_size=1024,
            timeout=cdk.Duration.minutes(5),
            options=options,
            uses_bucket=True,
        )
        grant_read(bucket, record_type, self.function)
        self._acknowledge_prefix(bucket, record_type, _READS)


class SweepFunction(LedgerFunction):
    """The function that settles object versions left without a verdict, one batch an invocation.

    It may list, read, tag and delete versions under the record type's prefix, and sign as the users: it asks the ledger
    and uses up transaction ids that must not commit any more. Exposes `function`, `role`, `security_groups` and
    `log_group`.

    * `bucket`: where the data is.
    * `network`: the ledger, and its users.
    * `record_type`: what is settled; donors by default.
    * `minimum_age`: younger versions are left alone; 15 minutes by default. It must exceed the 28 seconds of an
      execution by far.
    * `unretirable_age`: how old a version must be to be deleted where the certificate that planned its transaction is
      no longer the user's, so that the id cannot be used up; a day by default. It must exceed what an orderer may hold
      an envelope for.
    * `look_back`: older versions are passed over, as earlier sweeps have settled them; 14 days by default. In whole
      days, and longer than `unretirable_age`.
    * `options`: those of `FunctionOptions`, by default 512 MiB and five minutes.

    Raises ValueError that names an age which contradicts the others.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        bucket: s3.IBucket,
        network: FabricNetwork,
        record_type: RecordType = DONOR,
        minimum_age: cdk.Duration | None = None,
        unretirable_age: cdk.Duration | None = None,
        look_back: cdk.Duration | None = None,
        **options: Unpack[FunctionOptions],
    ) -> None:
        minimum_age = minimum_age or cdk.Duration.minutes(15)
        unretirable_age, look_back = unretirable_age or cdk.Duration.days(1), look_back or cdk.Duration.days(14)
        if minimum_age.to_seconds() < _LONGEST_EXECUTION:
            raise ValueError(
                f"minimum_age: an execution may run for {_LONGEST_EXECUTION} seconds; try Duration.minutes(15)"
            )
        if unretirable_age.to_seconds() < minimum_age.to_seconds():
            raise ValueError("unretirable_age: must not be shorter than minimum_age; try Duration.days(1)")
        if look_back.to_seconds() <= unretirable_age.to_seconds():
            raise ValueError(
                f"look_back: {look_back.to_days()} days must be longer than unretirable_age, or some versions are "
                "passed over undecided"
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
                "UNRETIRABLE_AGE_SECONDS": str(unretirable_age.to_seconds()),
                "LOOK_BACK_DAYS": str(look_back.to_days()),
            },
            network=network,
            record_type=record_type,
            memory_size=512,
            timeout=cdk.Duration.minutes(5),
            options=options,
            uses_bucket=True,
        )
        require_versions(self, bucket)
        grant_sweep(bucket, record_type, self.function)
        self._acknowledge_prefix(
            bucket, record_type, "Settles whatever version lies below the prefix; the names are not known before."
        )
