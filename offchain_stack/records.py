"""OffChainRecords: all that one record type needs, on a store, a network and an API that it may share with others."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from .access import Access
from .api import RecordApi
from .batches import SweepWorkflow, VerifyAllWorkflow
from .callers import Callers
from .fabric import FabricNetwork
from .function import LONGEST_TIMEOUTS, FunctionLimits, FunctionOptions
from .functions import (
    ChaincodeFunction,
    QueryFunction,
    SweepFunction,
    UploadFunction,
    VerifyAllFunction,
    VerifyFunction,
)
from .monitoring import AlarmThresholds
from .read_workflow import ReadWorkflow
from .record_type import DONOR, RecordType
from .rest_api import OffChainApi
from .store import OffChainStore
from .workflow import CreateWorkflow

FUNCTIONS_IN_VPC = 6
"""Of one record type; each has a network interface in each subnet. With an existing chaincode function one fewer."""


def _within(function: str, limits: FunctionLimits | None) -> FunctionLimits:
    """`limits`, if the workflow waits for as long as they let the function run. Raises ValueError."""
    longest, timeout = LONGEST_TIMEOUTS[function], limits and limits.timeout
    if timeout and timeout.to_seconds() > longest:
        raise ValueError(
            f"{function}_limits: the workflow does not wait for a timeout of {timeout.to_seconds()} seconds; give "
            f"Duration.seconds({longest}) at most"
        )
    return limits or FunctionLimits()


def _of_batch(limits: FunctionLimits | None) -> cdk.Duration | None:
    """How long a workflow waits for a batch of a function with `limits`."""
    timeout = limits and limits.timeout
    return cdk.Duration.seconds(timeout.to_seconds() + 60) if timeout else None


class OffChainRecords(Construct):
    """Creates, reads, sweeps and verifies the records of one type: its functions, workflows and methods of the API.

    * `vpc`: where the functions run.
    * `network`: the ledger, and the Fabric users.
    * `record_type`: what is recorded; donors by default.
    * `store`: where the data goes; by default one is made. Record types may share one: each keeps to its key prefix.
    * `api`: the API to add the record type to; by default one is made. Record types on one network may share one.
    * `access`: who may call this record type's methods; by default as the API has it.
    * `callers`: binds callers to Fabric users, by what the access knows of them; by default a request names any user of
      the network.
    * `subnets`: which of the VPC's the functions run in; by default the private ones.
    * `security_groups`: of the functions, as in `FunctionOptions`; by default each gets one of its own.
    * `s3_prefix_list`, `dns_servers`: as in `FunctionOptions`; none by default.
    * `existing_chaincode_function`: invokes the chaincode in place of ours, as in `CreateWorkflow`; none by default.
    * `sweep_schedule`: when the sweep looks at the last day's objects by itself; every hour by default.
    * `thorough_sweep_schedule`: when it looks at those of the last 14 days; every day by default.
    * `verify_all_schedule`: when everything is verified; by default only when started by hand.
    * `url_expires`: how long a URL to a verified object is good for; five minutes by default.
    * `log_retention`: how long logs are kept; three months by default.
    * `upload_limits`, `chaincode_limits`, `query_limits`, `verify_limits`, `sweep_limits`, `verify_all_limits`: memory,
      time-out, concurrency and log retention of each function; by default its own.
    * `minimum_age`, `unretirable_age`, `look_back`: the ages by which the sweep decides, as in `SweepFunction`; by
      default 15 minutes, a day and 14 days.
    * `alarm_thresholds`: when `OffChainMonitoring` raises alarms about this record type; by default as it says itself.

    Exposes `record_type`, `alarm_thresholds`, `store`, `upload_function`, `chaincode_function` (None where an existing
    one is used), `workflow`, `query_function`, `verify_function`, `read_workflow`, `sweep_function`, `sweep`,
    `verify_all_function`, `verify_all`, `record_api` and `api`. Raises ValueError that names the prop which is wrong.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        network: FabricNetwork,
        record_type: RecordType = DONOR,
        store: OffChainStore | None = None,
        api: OffChainApi | None = None,
        access: Access | None = None,
        callers: Callers | None = None,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: list[ec2.ISecurityGroup] | None = None,
        s3_prefix_list: ec2.IPrefixList | None = None,
        dns_servers: Sequence[str] | None = None,
        existing_chaincode_function: lambda_.IFunction | None = None,
        sweep_schedule: events.Schedule | None = None,
        thorough_sweep_schedule: events.Schedule | None = None,
        verify_all_schedule: events.Schedule | None = None,
        url_expires: cdk.Duration | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
        upload_limits: FunctionLimits | None = None,
        chaincode_limits: FunctionLimits | None = None,
        query_limits: FunctionLimits | None = None,
        verify_limits: FunctionLimits | None = None,
        sweep_limits: FunctionLimits | None = None,
        verify_all_limits: FunctionLimits | None = None,
        minimum_age: cdk.Duration | None = None,
        unretirable_age: cdk.Duration | None = None,
        look_back: cdk.Duration | None = None,
        alarm_thresholds: AlarmThresholds | None = None,
    ) -> None:
        super().__init__(scope, id)
        if existing_chaincode_function and chaincode_limits:
            raise ValueError("chaincode_limits: existing_chaincode_function has its own; leave one of them out")
        self.record_type = record_type
        self.alarm_thresholds = alarm_thresholds
        self.api = api or OffChainApi(self, "RestApi", access=access, log_retention=log_retention)
        self.api.use_network(network)
        self.store = store or OffChainStore(self, "Store", vpc=vpc, subnets=subnets, record_types=[record_type])
        self.store.admit_create(record_type)
        self.store.admit_read(record_type)
        self.store.admit_sweep(record_type)
        if network.tls_roots_arn:
            self.store.admit(actions=["s3:GetObject"], resources=[network.tls_roots_arn])
        options: FunctionOptions = {
            "vpc": vpc,
            "subnets": subnets,
            "security_groups": security_groups,
            "s3_prefix_list": s3_prefix_list,
            "dns_servers": dns_servers,
            "log_retention": log_retention,
        }
        bucket = self.store.bucket
        self.upload_function = UploadFunction(
            self,
            "Upload",
            bucket=bucket,
            network=network,
            record_type=record_type,
            callers=callers,
            plan_transactions=not existing_chaincode_function,
            **_within("upload", upload_limits).over(options),
        )
        self.chaincode_function: ChaincodeFunction | None = None
        if existing_chaincode_function:
            invokes = existing_chaincode_function
        else:
            self.chaincode_function = ChaincodeFunction(
                self,
                "Chaincode",
                network=network,
                record_type=record_type,
                **_within("chaincode", chaincode_limits).over(options),
            )
            invokes = self.chaincode_function.function
        self.workflow = CreateWorkflow(
            self,
            "Workflow",
            upload_function=self.upload_function.function,
            chaincode_function=invokes,
            bucket=bucket,
            record_type=record_type,
            existing_chaincode_function=bool(existing_chaincode_function),
            log_retention=log_retention,
        )
        self.query_function = QueryFunction(
            self, "Query", network=network, record_type=record_type, **_within("query", query_limits).over(options)
        )
        self.verify_function = VerifyFunction(
            self,
            "Verify",
            bucket=bucket,
            record_type=record_type,
            url_expires=url_expires,
            **_within("verify", verify_limits).over(options),
        )
        self.read_workflow = ReadWorkflow(
            self,
            "Read",
            query_function=self.query_function.function,
            verify_function=self.verify_function.function,
            log_retention=log_retention,
        )
        self.sweep_function = SweepFunction(
            self,
            "SweepFunction",
            bucket=bucket,
            network=network,
            record_type=record_type,
            minimum_age=minimum_age,
            unretirable_age=unretirable_age,
            look_back=look_back,
            **_within("sweep", sweep_limits).over(options),
        )
        self.sweep = SweepWorkflow(
            self,
            "Sweep",
            sweep_function=self.sweep_function.function,
            schedule=sweep_schedule or events.Schedule.rate(cdk.Duration.hours(1)),
            thorough_schedule=thorough_sweep_schedule or events.Schedule.rate(cdk.Duration.days(1)),
            batch_timeout=_of_batch(sweep_limits),
            log_retention=log_retention,
        )
        self.verify_all_function = VerifyAllFunction(
            self,
            "VerifyAllFunction",
            bucket=bucket,
            network=network,
            record_type=record_type,
            **_within("verify_all", verify_all_limits).over(options),
        )
        self.verify_all = VerifyAllWorkflow(
            self,
            "VerifyAll",
            verify_all_function=self.verify_all_function.function,
            schedule=verify_all_schedule,
            batch_timeout=_of_batch(verify_all_limits),
            log_retention=log_retention,
        )
        self.record_api = RecordApi(
            self,
            "Api",
            state_machine=self.workflow.state_machine,
            read_state_machine=self.read_workflow.state_machine,
            record_type=record_type,
            api=self.api,
            access=access,
            callers=callers,
        )

    def grant_create(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` create records through the API, where callers sign with IAM credentials."""
        return self.record_api.grant_create(grantee)

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` read records through the API, where callers sign with IAM credentials."""
        return self.record_api.grant_read(grantee)
