"""OffChainStack: the constructs, wired from settings."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from .access import Access
from .fabric import FabricNetwork
from .monitoring import AlarmThresholds, OffChainMonitoring
from .record_type import DONOR, RecordType
from .records import OffChainRecords
from .rest_api import OffChainApi
from .setting_types import InterfaceEndpoint, LimitsOfFunctions
from .settings import Settings, SettingsError, error_of
from .store import OffChainStore


@contextmanager
def _naming(setting: str) -> Iterator[None]:
    """What a construct refuses comes from `setting`."""
    try:
        yield
    except SettingsError:
        raise
    except ValueError as error:
        raise error_of(setting, error) from error


class OffChainStack(cdk.Stack):
    """Everything one deployment needs, in a VPC that is there already: one store, one network and one API, and the
    records of each type in the settings.

    * `settings`: what is particular to the deployment.
    * `env`: account and region; by default those of the settings, or none.

    Exposes `vpc`, `store`, `network`, `api`, `records` (each type's `OffChainRecords` by its path) and `monitoring`
    (None where the settings want none). Outputs: `ApiUrl`, `BucketName`, and of each record type `StateMachineArn`,
    `SweepFunctionName` and `VerifyAllStateMachineArn`, with the type's name in front unless it is the donor.

    Raises SettingsError if a construct refuses what the settings say.
    """

    def __init__(self, scope: Construct, id: str, *, settings: Settings, env: cdk.Environment | None = None) -> None:
        if env is None and settings.account:
            env = cdk.Environment(account=settings.account, region=settings.region)
        super().__init__(scope, id, env=env, description="Off-chain data in S3 with its proof on Hyperledger Fabric")
        self._settings = settings
        self.vpc = self._vpc(settings)
        self._security_groups = [
            ec2.SecurityGroup.from_security_group_id(self, f"SecurityGroup{number}", group)
            for number, group in enumerate(settings.security_group_ids or ())
        ] or None
        self._existing_chaincode_function = (
            lambda_.Function.from_function_arn(self, "ExistingChaincode", settings.chaincode_function_arn)
            if settings.chaincode_function_arn
            else None
        )
        self._s3_prefix_list = self._prefix_list(settings)
        self.store = self._store(settings)
        with _naming("connectionProfile" if settings.connection_profile else "tlsRoots"):
            self.network = self._network(settings)
        self.api = self._api(settings)
        with _naming("recordTypes"):
            self.records = {each.path: self._records(each) for each in settings.record_types}
        self.monitoring = self._monitoring(settings) if settings.monitoring == "create" else None
        cdk.CfnOutput(self, "ApiUrl", value=self.api.rest_api.url)
        cdk.CfnOutput(self, "BucketName", value=self.store.bucket.bucket_name)

    def _records(self, record_type: RecordType) -> OffChainRecords:
        # Before there were other types, donors had no part of their own: what is named "Default" changes no logical id.
        prefix = "" if record_type.name == DONOR.name else record_type.name
        hours = self._settings.verify_all_interval_hours
        limits = self._settings.functions or LimitsOfFunctions()
        records = OffChainRecords(
            self,
            f"{prefix}Records" if prefix else "Default",
            vpc=self.vpc,
            network=self.network,
            record_type=record_type,
            store=self.store,
            api=self.api,
            callers=self._settings.callers,
            security_groups=self._security_groups,
            s3_prefix_list=self._s3_prefix_list,
            dns_servers=self._settings.dns_servers,
            existing_chaincode_function=self._existing_chaincode_function,
            sweep_schedule=events.Schedule.rate(cdk.Duration.minutes(self._settings.sweep_interval_minutes)),
            verify_all_schedule=events.Schedule.rate(cdk.Duration.hours(hours)) if hours else None,
            url_expires=cdk.Duration.minutes(self._settings.url_expires_minutes),
            minimum_age=cdk.Duration.minutes(self._settings.minimum_age_minutes),
            unretirable_age=cdk.Duration.days(self._settings.unretirable_age_days),
            look_back=cdk.Duration.days(self._settings.look_back_days),
            log_retention=self._settings.log_retention,
            upload_limits=limits.upload,
            chaincode_limits=limits.chaincode,
            query_limits=limits.query,
            verify_limits=limits.verify,
            sweep_limits=limits.sweep,
            verify_all_limits=limits.verify_all,
        )
        outputs = {
            "StateMachineArn": records.workflow.state_machine.state_machine_arn,
            "SweepFunctionName": records.sweep_function.function.function_name,
            "VerifyAllStateMachineArn": records.verify_all.state_machine.state_machine_arn,
        }
        for name, value in outputs.items():
            cdk.CfnOutput(self, f"{prefix}{name}", value=value)
        return records

    def _monitoring(self, settings: Settings) -> OffChainMonitoring:
        topic = settings.alarm_topic_arn
        # Two runs may fail or be late before it is said that none succeeds; CloudWatch looks back a day at most.
        overdue = min(24, max(3, math.ceil(3 * settings.sweep_interval_minutes / 60)))
        thresholds: dict[str, Any] = {"sweep_overdue_hours": overdue} | dict(settings.alarm_thresholds or {})
        return OffChainMonitoring(
            self,
            "Monitoring",
            records=list(self.records.values()),
            rest_api=self.api.rest_api,
            access_log_group=self.api.access_log_group,
            alarm_topic=sns.Topic.from_topic_arn(self, "AlarmTopic", topic) if topic else None,
            thresholds=AlarmThresholds(**thresholds),
        )

    def _api(self, settings: Settings) -> OffChainApi:
        plan = settings.usage_plan
        quota = plan and plan.monthly_quota
        api = OffChainApi(
            self,
            "Api",
            access=self._access(settings),
            cloud_watch_role=settings.cloud_watch_role == "create",
            log_retention=settings.log_retention,
            throttling_rate_limit=settings.throttling_rate_limit,
            throttling_burst_limit=settings.throttling_burst_limit,
            usage_plan=apigateway.UsagePlanProps(
                throttle=apigateway.ThrottleSettings(rate_limit=plan.rate_limit, burst_limit=plan.burst_limit),
                quota=apigateway.QuotaSettings(limit=quota, period=apigateway.Period.MONTH) if quota else None,
            )
            if plan
            else None,
            web_acl_arn=settings.web_acl_arn,
            vpc_endpoints=[
                ec2.InterfaceVpcEndpoint.from_interface_vpc_endpoint_attributes(
                    self, f"ExecuteApi{number}", vpc_endpoint_id=endpoint, port=443
                )
                for number, endpoint in enumerate(settings.execute_api_endpoint_ids or ())
            ]
            or None,
        )
        for name in plan.api_keys if plan else ():
            api.add_api_key(f"ApiKey-{name}", name=name)
        return api

    def _access(self, settings: Settings) -> Access:
        if not settings.user_pool_arn:
            return Access()
        pool = cognito.UserPool.from_user_pool_arn(self, "UserPool", settings.user_pool_arn)
        authorizer = apigateway.CognitoUserPoolsAuthorizer(self, "Authorizer", cognito_user_pools=[pool])
        return Access(authorizer=authorizer, scopes=settings.user_pool_scopes or ())

    def _store(self, settings: Settings) -> OffChainStore:
        key = kms.Key.from_key_arn(self, "Key", settings.kms_key_arn) if settings.kms_key_arn else None
        bucket = (
            s3.Bucket.from_bucket_attributes(self, "Bucket", bucket_name=settings.bucket_name, encryption_key=key)
            if settings.bucket_name
            else None
        )
        store = OffChainStore(
            self,
            "Store",
            vpc=self.vpc,
            # Those that are named are meant; with those that are looked up there may be others.
            subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
            if settings.subnet_ids
            else None,
            keep_endpoint=settings.s3_endpoint == "keep",
            bucket=bucket,
            encryption_key=None if bucket else key,
            noncurrent_days=settings.noncurrent_days,
            record_types=settings.record_types,
        )
        if settings.admitted_buckets:
            store.admit_buckets(settings.admitted_buckets)
        return store

    def _prefix_list(self, settings: Settings) -> ec2.IPrefixList | None:
        """Of S3, where it is given; and where AWS is asked at synth anyway and S3 is surely reached by a gateway."""
        if settings.s3_prefix_list_id:
            return ec2.PrefixList.from_prefix_list_id(self, "S3PrefixList", settings.s3_prefix_list_id)
        if settings.subnet_ids or settings.s3_endpoint == "keep" or settings.security_group_ids:
            return None
        name = f"com.amazonaws.{settings.region}.s3"
        return ec2.PrefixList.from_lookup(self, "S3PrefixList", prefix_list_name=name)

    def _vpc(self, settings: Settings) -> ec2.IVpc:
        if settings.subnet_ids is None:
            vpc = ec2.Vpc.from_lookup(self, "Vpc", vpc_id=settings.vpc_id)
            if not vpc.private_subnets and not vpc.isolated_subnets:
                raise error_of(
                    "vpcId",
                    f"{settings.vpc_id} has only public subnets, in which a function reaches nothing outside of the "
                    "VPC; add private ones, or name those that you want by availabilityZones, subnetIds and "
                    "routeTableIds",
                )
            return vpc
        return ec2.Vpc.from_vpc_attributes(
            self,
            "Vpc",
            vpc_id=settings.vpc_id,
            availability_zones=list(settings.availability_zones or ()),
            private_subnet_ids=list(settings.subnet_ids),
            private_subnet_route_table_ids=list(settings.route_table_ids or ()),
        )

    def _network(self, settings: Settings) -> FabricNetwork:
        network = self._network_alone(settings)
        if settings.admitted_secrets:
            network.admit_secrets(settings.admitted_secrets)
        for group in map(ec2.Peer.security_group_id, settings.admitted_security_group_ids or ()):
            if settings.secrets_manager_endpoint == "create":
                network.allow_secrets_from(group)
            if settings.fabric_endpoint == "create":
                network.allow_ledger_from(group)
        return network

    def _network_alone(self, settings: Settings) -> FabricNetwork:
        secrets_endpoint = settings.secrets_manager_endpoint == "create"
        common: dict[str, Any] = {
            "channel": settings.channel,
            "chaincode": settings.chaincode,
            "users": settings.users,
            "endorsements": settings.endorsements,
            "endorsing_organizations": settings.endorsing_organizations,
            "secrets_key": kms.Key.from_key_arn(self, "SecretsKey", settings.secrets_key_arn)
            if settings.secrets_key_arn
            else None,
            "tls_roots_key": kms.Key.from_key_arn(self, "TlsRootsKey", settings.tls_roots_key_arn)
            if settings.tls_roots_key_arn
            else None,
            "secrets_endpoint": self._existing_endpoint("SecretsManagerEndpoint", settings.secrets_manager_endpoint),
        }
        if settings.managed_blockchain:
            member = settings.managed_blockchain
            return FabricNetwork.from_managed_blockchain(
                self,
                "Network",
                network_id=member.network_id,
                member_id=member.member_id,
                node_ids=member.node_ids,
                vpc=self.vpc,
                fabric_endpoint=self._existing_endpoint("FabricEndpoint", settings.fabric_endpoint),
                create_fabric_endpoint=settings.fabric_endpoint == "create",
                create_secrets_endpoint=secrets_endpoint,
                log_retention=settings.log_retention,
                **common,
            )
        vpc = self.vpc if secrets_endpoint else None
        if settings.connection_profile:
            return FabricNetwork.from_connection_profile(
                self,
                "Network",
                path=settings.connection_profile,
                msp_id=settings.msp_id,
                orderers=settings.orderers or (),
                tls_roots=settings.tls_roots,
                vpc=vpc,
                **common,
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

    def _existing_endpoint(self, id: str, existing: str | InterfaceEndpoint) -> ec2.IInterfaceVpcEndpoint | None:
        if not isinstance(existing, InterfaceEndpoint):
            return None
        return ec2.InterfaceVpcEndpoint.from_interface_vpc_endpoint_attributes(
            self,
            id,
            port=443,
            vpc_endpoint_id=existing.id,
            security_groups=[ec2.SecurityGroup.from_security_group_id(self, f"{id}Group", existing.security_group_id)],
        )
