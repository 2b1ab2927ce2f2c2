"""OffChainStack: the constructs, wired from settings."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct

from .api import DonorApi
from .batches import SweepWorkflow, VerifyAllWorkflow
from .fabric import FabricNetwork
from .functions import (
    ChaincodeFunction,
    QueryFunction,
    SweepFunction,
    UploadFunction,
    VerifyAllFunction,
    VerifyFunction,
)
from .read_workflow import ReadWorkflow
from .record_type import DONOR, RecordType
from .settings import InterfaceEndpoint, Settings
from .store import OffChainStore
from .workflow import CreateWorkflow


class OffChainStack(cdk.Stack):
    """Everything one deployment needs, in a VPC that is there already.

    Exposes its constructs: `vpc`, `store`, `network`, `upload_function`, `chaincode_function` (None where an existing
    one is used), `workflow`, `query_function`, `verify_function`, `read_workflow`, `sweep_function`, `sweep`,
    `verify_all_function`, `verify_all` and `api`. Outputs: `ApiUrl`, `BucketName`, `StateMachineArn`,
    `SweepFunctionName`, `VerifyAllStateMachineArn`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        record_type: RecordType = DONOR,
        env: cdk.Environment | None = None,
    ) -> None:
        if env is None and settings.account:
            env = cdk.Environment(account=settings.account, region=settings.region)
        super().__init__(scope, id, env=env, description="Off-chain data in S3 with its proof on Hyperledger Fabric")
        self.vpc = self._vpc(settings)
        groups = [
            ec2.SecurityGroup.from_security_group_id(self, f"SecurityGroup{number}", group)
            for number, group in enumerate(settings.security_group_ids or ())
        ] or None
        key = kms.Key.from_key_arn(self, "Key", settings.kms_key_arn) if settings.kms_key_arn else None
        bucket = (
            s3.Bucket.from_bucket_attributes(self, "Bucket", bucket_name=settings.bucket_name, encryption_key=key)
            if settings.bucket_name
            else None
        )
        self.store = OffChainStore(
            self,
            "Store",
            vpc=self.vpc,
            keep_endpoint=settings.s3_endpoint == "keep",
            bucket=bucket,
            encryption_key=None if bucket else key,
            noncurrent_days=settings.noncurrent_days,
            record_type=record_type,
        )
        self.network = self._network(settings)
        if self.network.tls_roots_arn:
            self.store.admit(actions=["s3:GetObject"], resources=[self.network.tls_roots_arn])
        self.upload_function = UploadFunction(
            self,
            "Upload",
            vpc=self.vpc,
            security_groups=groups,
            bucket=self.store.bucket,
            network=self.network,
            record_type=record_type,
            plan_transactions=not settings.chaincode_function_arn,
        )
        self.chaincode_function: ChaincodeFunction | None = None
        if settings.chaincode_function_arn:
            invokes = lambda_.Function.from_function_arn(self, "ExistingChaincode", settings.chaincode_function_arn)
        else:
            self.chaincode_function = ChaincodeFunction(
                self, "Chaincode", vpc=self.vpc, security_groups=groups, network=self.network, record_type=record_type
            )
            invokes = self.chaincode_function.function
        self.workflow = CreateWorkflow(
            self,
            "Workflow",
            upload_function=self.upload_function.function,
            chaincode_function=invokes,
            bucket=self.store.bucket,
            record_type=record_type,
            existing_chaincode_function=bool(settings.chaincode_function_arn),
        )
        self.query_function = QueryFunction(
            self, "Query", vpc=self.vpc, security_groups=groups, network=self.network, record_type=record_type
        )
        self.store.admit_read()
        self.verify_function = VerifyFunction(
            self,
            "Verify",
            vpc=self.vpc,
            security_groups=groups,
            bucket=self.store.bucket,
            record_type=record_type,
            url_expires=cdk.Duration.minutes(settings.url_expires_minutes),
        )
        self.read_workflow = ReadWorkflow(
            self,
            "Read",
            query_function=self.query_function.function,
            verify_function=self.verify_function.function,
        )
        self.store.admit_sweep()
        self.sweep_function = SweepFunction(
            self,
            "SweepFunction",
            vpc=self.vpc,
            security_groups=groups,
            bucket=self.store.bucket,
            network=self.network,
            record_type=record_type,
        )
        self.sweep = SweepWorkflow(
            self,
            "Sweep",
            sweep_function=self.sweep_function.function,
            schedule=events.Schedule.rate(cdk.Duration.minutes(settings.sweep_interval_minutes)),
        )
        self.verify_all_function = VerifyAllFunction(
            self,
            "VerifyAllFunction",
            vpc=self.vpc,
            security_groups=groups,
            bucket=self.store.bucket,
            network=self.network,
            record_type=record_type,
        )
        hours = settings.verify_all_interval_hours
        self.verify_all = VerifyAllWorkflow(
            self,
            "VerifyAll",
            verify_all_function=self.verify_all_function.function,
            schedule=events.Schedule.rate(cdk.Duration.hours(hours)) if hours else None,
        )
        self.api = DonorApi(
            self,
            "Api",
            state_machine=self.workflow.state_machine,
            read_state_machine=self.read_workflow.state_machine,
            record_type=record_type,
            cloud_watch_role=settings.cloud_watch_role == "create",
            throttling_rate_limit=settings.throttling_rate_limit,
            throttling_burst_limit=settings.throttling_burst_limit,
        )
        cdk.CfnOutput(self, "ApiUrl", value=str(self.api.url))
        cdk.CfnOutput(self, "BucketName", value=self.store.bucket.bucket_name)
        cdk.CfnOutput(self, "SweepFunctionName", value=self.sweep_function.function.function_name)
        cdk.CfnOutput(self, "VerifyAllStateMachineArn", value=self.verify_all.state_machine.state_machine_arn)
        cdk.CfnOutput(self, "StateMachineArn", value=self.workflow.state_machine.state_machine_arn)

    def _vpc(self, settings: Settings) -> ec2.IVpc:
        if settings.subnet_ids is None:
            return ec2.Vpc.from_lookup(self, "Vpc", vpc_id=settings.vpc_id)
        return ec2.Vpc.from_vpc_attributes(
            self,
            "Vpc",
            vpc_id=settings.vpc_id,
            availability_zones=list(settings.availability_zones or ()),
            private_subnet_ids=list(settings.subnet_ids),
            private_subnet_route_table_ids=list(settings.route_table_ids or ()),
        )

    def _network(self, settings: Settings) -> FabricNetwork:
        secrets_endpoint = settings.secrets_manager_endpoint == "create"
        common: dict[str, Any] = {
            "channel": settings.channel,
            "chaincode": settings.chaincode,
            "users": settings.users,
            "endorsements": settings.endorsements,
            "secrets_key": kms.Key.from_key_arn(self, "SecretsKey", settings.secrets_key_arn)
            if settings.secrets_key_arn
            else None,
        }
        if settings.managed_blockchain:
            member, endpoint = settings.managed_blockchain, settings.fabric_endpoint
            return FabricNetwork.from_managed_blockchain(
                self,
                "Network",
                network_id=member.network_id,
                member_id=member.member_id,
                node_ids=member.node_ids,
                vpc=self.vpc,
                fabric_endpoint=self._existing_endpoint(endpoint) if isinstance(endpoint, InterfaceEndpoint) else None,
                create_fabric_endpoint=endpoint == "create",
                create_secrets_endpoint=secrets_endpoint,
                **common,
            )
        vpc = self.vpc if secrets_endpoint else None
        if settings.connection_profile:
            return FabricNetwork.from_connection_profile(
                self, "Network", path=settings.connection_profile, tls_roots=settings.tls_roots, vpc=vpc, **common
            )
        return FabricNetwork(
            self,
            "Network",
            msp_id=settings.msp_id or "",
            peers=settings.peers or (),
            orderers=settings.orderers or (),
            tls_roots=settings.tls_roots or "",
            vpc=vpc,
            **common,
        )

    def _existing_endpoint(self, existing: InterfaceEndpoint) -> ec2.IInterfaceVpcEndpoint:
        return ec2.InterfaceVpcEndpoint.from_interface_vpc_endpoint_attributes(
            self,
            "FabricEndpoint",
            port=443,
            vpc_endpoint_id=existing.id,
            security_groups=[
                ec2.SecurityGroup.from_security_group_id(self, "FabricEndpointGroup", existing.security_group_id)
            ],
        )
