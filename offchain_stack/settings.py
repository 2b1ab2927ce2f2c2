"""Deploy-time settings, read from CDK context or from a file in one place."""

import dataclasses
import functools
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from aws_cdk import aws_logs as logs
from pydantic import with_config

from .fabric import SECRET_NAME_PATTERN, FabricUser
from .mistakes import Mistake, Mistakes, camel_case, found, one_line, place
from .model import MODEL, Count, IfGiven, Many, at_least, at_most, described, json_schema, read
from .plain_file import RepeatedKeyError, read_json, read_plain
from .record_type import DONOR
from .setting_rules import broken_rules
from .setting_types import (
    Account,
    AvailabilityZone,
    BucketName,
    BucketNames,
    CallersOfApi,
    ChaincodeName,
    ChannelName,
    CreateKeepOrUse,
    CreateOrKeep,
    DnsServer,
    FabricMember,
    FilePath,
    FunctionArn,
    InterfaceEndpoint,
    InterfaceEndpointId,
    KeyArn,
    LimitsOfFunctions,
    LogRetention,
    ManagedBlockchainMember,
    MspId,
    Nodes,
    Organizations,
    PrefixListId,
    RecordTypes,
    Region,
    RouteTableId,
    Scope,
    SecretNamePattern,
    SecretNames,
    SecurityGroupId,
    StackName,
    SubnetId,
    Thresholds,
    TlsRoots,
    TopicArn,
    UsagePlan,
    UserPoolArn,
    Users,
    VpcId,
    WebAclArn,
)

if TYPE_CHECKING:
    from constructs import Node

__all__ = ["InterfaceEndpoint", "ManagedBlockchainMember", "Settings", "SettingsError", "UsagePlan", "settings_schema"]

_PREFIX = "offchain"
_FILE = "offchainSettings"
_CDK_FILE = "cdk.json"


class SettingsError(ValueError):
    """Settings are missing, wrong, unknown or contradict each other: a line for each mistake, which names its place and
    shows an example."""


@with_config(MODEL)
@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one deployment. In CDK context they are the object `offchain`, their names in camelCase, or in
    its place a file that `-c offchainSettings=<path>` names. Each can be overridden by a context value of its own, such
    as `-c offchain.mspId=Org2MSP`."""

    stack_name: Annotated[
        StackName, described("Name of the stack, one for each deployment in an account and region", "OffChainTest")
    ] = "OffChainStack"
    vpc_id: Annotated[VpcId, described("VPC of the functions", "vpc-0123456789abcdef0")]
    availability_zones: Annotated[
        IfGiven[Many[AvailabilityZone]],
        described(
            "Availability zones of the subnets; without these three the VPC's private subnets are looked up at synth",
            ["us-east-1a", "us-east-1b"],
        ),
    ] = None
    subnet_ids: Annotated[
        IfGiven[Many[SubnetId]],
        described(
            "Subnets of the functions, as many for each availability zone",
            ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        ),
    ] = None
    route_table_ids: Annotated[
        IfGiven[Many[RouteTableId]],
        described("Route table of each subnet, in the same order", ["rtb-0123456789abcdef0", "rtb-0123456789abcdef0"]),
    ] = None
    account: Annotated[
        IfGiven[Account], described("Account to deploy to; needed to look the VPC up", "111122223333")
    ] = None
    region: Annotated[IfGiven[Region], described("Region to deploy to; needed to look the VPC up", "us-east-1")] = None
    security_group_ids: Annotated[
        IfGiven[Many[SecurityGroupId]],
        described(
            "Security groups of the functions, which let them out to HTTPS, peers and orderers; made by default",
            ["sg-0123456789abcdef0"],
        ),
    ] = None
    managed_blockchain: Annotated[
        IfGiven[ManagedBlockchainMember],
        described(
            "Managed Blockchain member whose endpoints, TLS chain and MSP id are looked up when deploying",
            {
                "networkId": "n-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                "memberId": "m-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                "nodeIds": ["nd-ABCDEFGHIJKLMNOPQRSTUVWXYZ"],
            },
        ),
    ] = None
    fabric_endpoint: Annotated[
        CreateKeepOrUse,
        described(
            "Interface endpoint to Managed Blockchain: create one, keep the way the subnets have, or use this one",
            {"id": "vpce-0123456789abcdef0", "securityGroupId": "sg-0123456789abcdef0"},
        ),
    ] = "create"
    connection_profile: Annotated[
        IfGiven[FilePath],
        described(
            "Connection profile with peers, orderers, TLS roots and MSP id, JSON or YAML; relative to the settings "
            "file. What it leaves out of orderers and mspId is given beside it",
            "networks/org1.yaml",
        ),
    ] = None
    msp_id: Annotated[
        IfGiven[MspId],
        described(
            "MSP id of the users' organisation; this and the next three unless one of the two above tells them",
            "Org1MSP",
        ),
    ] = None
    channel: Annotated[ChannelName, described("Channel of the chaincode", "mychannel")]
    chaincode: Annotated[ChaincodeName, described("Name of the chaincode", "ngo")]
    peers: Annotated[
        IfGiven[Nodes],
        described(
            "Peers to endorse, as host:port; with tlsHostname where the certificate has another name, and mspId to "
            "tell its organisation before it has answered",
            [{"endpoint": "peer0.org1.example.com:7051"}],
        ),
    ] = None
    orderers: Annotated[
        IfGiven[Nodes],
        described(
            "Orderers, written like the peers; beside a connection profile without any, tlsRoots in PEM are added to "
            "the profile's",
            [{"endpoint": "orderer.example.com:7050"}],
        ),
    ] = None
    endorsements: Annotated[Count, described("Number of peers that must agree", 1)] = 1
    endorsing_organizations: Annotated[
        IfGiven[Organizations],
        described(
            "Organisations that must endorse: how many, or their MSP ids; by default those that the chaincode's policy "
            "asks for, as the peers tell it, and if none of them does, all that the peers are of",
            ["Org1MSP", "Org2MSP"],
        ),
    ] = None
    tls_roots: Annotated[
        IfGiven[TlsRoots],
        described(
            "CA certificates of peers and orderers: PEM text or an S3 location in the stack's region",
            "s3://us-east-1.managedblockchain/etc/managedblockchain-tls-chain.pem",
        ),
    ] = None
    tls_roots_key_arn: Annotated[
        IfGiven[KeyArn],
        described(
            "Customer key that encrypts the TLS roots in S3",
            "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        ),
    ] = None
    record_types: Annotated[
        RecordTypes,
        described(
            "What is recorded: `donors`, and types of your own",
            [
                "donors",
                {
                    "name": "Invoice",
                    "identifyingField": "invoiceNumber",
                    "ledgerFields": [{"name": "invoiceNumber", "maxLength": 40}],
                    "dataField": "document",
                    "contentTypes": ["application/pdf"],
                    "createFunction": "createInvoice",
                    "readFunction": "queryInvoice",
                    "listFunction": "queryAllInvoices",
                },
            ],
            default=["donors"],
        ),
    ] = (DONOR,)
    chaincode_function_arn: Annotated[
        IfGiven[FunctionArn],
        described(
            "Existing function that invokes the chaincode (the workshop's) in place of ours; synth says what is then "
            "not guaranteed",
            "arn:aws:lambda:us-east-1:111122223333:function:ngo-lambda",
        ),
    ] = None
    users: Annotated[
        Users,
        described(
            "Fabric users that a request may name, the first by default; with secrets of other names as "
            '{"name", "certificate", "privateKey"}, each secret a name or an ARN',
            ["lambdaUser"],
        ),
    ]
    member: Annotated[
        IfGiven[FabricMember], described("Member in the secrets' names; needed for users by name", "member1")
    ] = None
    secret_name_pattern: Annotated[
        SecretNamePattern,
        described(
            "Names of the secrets, with {user}, {part} (signcert or pk) and perhaps {member}", SECRET_NAME_PATTERN
        ),
    ] = SECRET_NAME_PATTERN
    secrets_key_arn: Annotated[
        IfGiven[KeyArn],
        described(
            "Customer key that encrypts the secrets",
            "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        ),
    ] = None
    s3_endpoint: Annotated[
        CreateOrKeep,
        described("S3 gateway endpoint: create one on the route tables, or keep the one they have", "create"),
    ] = "create"
    admitted_buckets: Annotated[
        IfGiven[Many[BucketNames]],
        described(
            "Further buckets that the S3 endpoint made here admits, for other deployments in the VPC and whatever else "
            "uses S3 in these subnets; a name with * admits this account's alone",
            ["offchaintest-*", "al2023-repos-us-east-1-de612dc2"],
        ),
    ] = None
    s3_prefix_list_id: Annotated[
        IfGiven[PrefixListId],
        described(
            "Prefix list of S3 in the region, com.amazonaws.<region>.s3, so that the functions are let out to S3 alone "
            "instead of to any address on port 443; looked up with the VPC if the S3 endpoint is made here",
            "pl-63a5400a",
        ),
    ] = None
    secrets_manager_endpoint: Annotated[
        CreateKeepOrUse,
        described(
            "Secrets Manager interface endpoint: create one, keep the way the subnets have, or use this one",
            {"id": "vpce-0123456789abcdef0", "securityGroupId": "sg-0123456789abcdef0"},
            default="create",
        ),
    ] = "create"
    admitted_secrets: Annotated[
        IfGiven[Many[SecretNames]],
        described(
            "Further secrets, by names or ARNs in which * stands for any characters, that the Secrets Manager endpoint "
            "made here admits: those of other deployments in the VPC",
            ["dev/fabricOrgs/org1/*"],
        ),
    ] = None
    admitted_security_group_ids: Annotated[
        IfGiven[Many[SecurityGroupId]],
        described(
            "Further security groups that the interface endpoints made here let in, of functions that do not let "
            "themselves in",
            ["sg-0123456789abcdef0"],
        ),
    ] = None
    dns_servers: Annotated[
        IfGiven[Many[DnsServer]],
        described(
            "The VPC's own DNS servers (its DHCP options), which the functions are let out to; Amazon's need no rule",
            ["10.0.0.2", "10.0.16.0/28"],
        ),
    ] = None
    bucket_name: Annotated[IfGiven[BucketName], described("Versioned bucket to use", "my-donor-images")] = None
    kms_key_arn: Annotated[
        IfGiven[KeyArn],
        described(
            "Customer key for the new bucket, or of the one that bucketName names",
            "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        ),
    ] = None
    cloud_watch_role: Annotated[
        CreateOrKeep,
        described(
            "Role by which API Gateway writes logs, one for the account and region: create it, or keep the one there "
            "is",
            "create",
        ),
    ] = "create"
    noncurrent_days: Annotated[Count, described("Days until an old object version is deleted", 30)] = 30
    sweep_interval_minutes: Annotated[
        Annotated[Count, at_most(720)],
        described("Minutes, at most 720, between two sweeps of the last day's objects", 60),
    ] = 60
    minimum_age_minutes: Annotated[
        Count, at_least(5), described("Minutes, at least 5, before a sweep looks at an object", 15)
    ] = 15
    unretirable_age_days: Annotated[
        Count,
        described(
            "Days before a sweep deletes an object without a verdict whose transaction id cannot be used up, because "
            "the user's certificate was renewed; no orderer may hold an envelope for longer",
            2,
        ),
    ] = 1
    look_back_days: Annotated[
        Count, described("Days after which sweeps pass an object over; more than unretirableAgeDays", 14)
    ] = 14
    functions: Annotated[
        IfGiven[LimitsOfFunctions],
        described(
            "Memory, time-out and reserved concurrency of each record type's functions: upload, chaincode, query, "
            "verify, sweep and verifyAll; what is left out stays as it is",
            {"query": {"memoryMb": 2048}, "chaincode": {"memoryMb": 256, "reservedConcurrency": 50}},
        ),
    ] = None
    log_retention: Annotated[
        LogRetention,
        described(
            "How long logs of functions, workflows and API are kept, by the names of CDK's RetentionDays",
            "ONE_YEAR",
            default="THREE_MONTHS",
        ),
    ] = logs.RetentionDays.THREE_MONTHS
    url_expires_minutes: Annotated[
        Annotated[Count, at_most(60)],
        described("Minutes, at most 60, that a URL to a verified picture is good for", 5),
    ] = 5
    monitoring: Annotated[
        Literal["create", "none"], described("Dashboard and alarms: create them, or have none", "create")
    ] = "create"
    alarm_thresholds: Annotated[
        IfGiven[Thresholds],
        described(
            "When alarms go off: the props of AlarmThresholds in camelCase; sweepOverdueHours is three times "
            "sweepIntervalMinutes by default",
            {"ledgerUnavailable": 20, "slowSeconds": 10, "certificateDaysLeft": 14},
        ),
    ] = None
    alarm_topic_arn: Annotated[
        IfGiven[TopicArn],
        described(
            "SNS topic that alarms are sent to; nowhere by default", "arn:aws:sns:us-east-1:111122223333:on-call"
        ),
    ] = None
    verify_all_interval_hours: Annotated[
        IfGiven[Count], described("Hours between two verifications of all pictures; none by default", 168)
    ] = None
    throttling_rate_limit: Annotated[Count, described("Requests a second", 50)] = 50
    throttling_burst_limit: Annotated[Count, described("Requests at once", 100)] = 100
    user_pool_arn: Annotated[
        IfGiven[UserPoolArn],
        described(
            "Cognito user pool whose tokens callers send; by default they sign with IAM credentials",
            "arn:aws:cognito-idp:us-east-1:111122223333:userpool/us-east-1_AbCdEfGhI",
        ),
    ] = None
    user_pool_scopes: Annotated[
        IfGiven[Many[Scope]],
        described(
            "OAuth scopes, one of which an access token of the pool must have; by default ID tokens are taken",
            ["records/write"],
        ),
    ] = None
    usage_plan: Annotated[
        IfGiven[UsagePlan],
        described(
            "API keys that requests need, too, and what each may do (monthlyQuota may be left out)",
            {"apiKeys": ["acme"], "rateLimit": 5, "burstLimit": 10, "monthlyQuota": 100000},
        ),
    ] = None
    web_acl_arn: Annotated[
        IfGiven[WebAclArn],
        described(
            "AWS WAF web ACL that looks at every request first; AWSManagedRulesCommonRuleSet blocks bodies over 8 KB, "
            "which pictures are, unless SizeRestrictions_BODY is set to count",
            "arn:aws:wafv2:us-east-1:111122223333:regional/webacl/offchain/1234abcd-12ab-34cd-56ef-1234567890ab",
        ),
    ] = None
    execute_api_endpoint_ids: Annotated[
        IfGiven[Many[InterfaceEndpointId]],
        described(
            "Interface endpoints of execute-api: the API is private, and admits requests through these alone",
            ["vpce-0123456789abcdef0"],
        ),
    ] = None
    callers: Annotated[
        IfGiven[CallersOfApi],
        described(
            "Which Fabric users a caller may act as: by IAM principal, or by a claim of its token, as "
            '{"claim": "<name>"}; by default all',
            {"principals": {"lambdaUser": ["arn:aws:iam::111122223333:role/donor-desk"]}},
        ),
    ] = None

    def placed_subnets(self) -> list[tuple[str, str, str]]:
        """Each named subnet with its zone and its route table: the zones have as many each, one after the other."""
        zones, subnets = self.availability_zones or (), self.subnet_ids or ()
        in_zones = [zones[number * len(zones) // len(subnets)] for number in range(len(subnets))]
        return list(zip(subnets, in_zones, self.route_table_ids or (), strict=True))

    @classmethod
    def from_context(cls, node: "Node") -> "Settings":
        """Read the settings from the context of `node`. Raises SettingsError."""
        file = node.try_get_context(_FILE)
        values = node.try_get_context(_PREFIX) if file is None else _read(file)
        source = _CDK_FILE if file is None else str(file)
        if values is None:
            values = {}
        if not isinstance(values, dict):
            raise SettingsError(f'{_PREFIX}: must be an object in CDK context, such as {{"mspId": "Org1MSP", ...}}')
        if file is None:
            _refuse_repeated_keys(Path(_CDK_FILE), values)
        overrides = {
            name.removeprefix(f"{_PREFIX}."): _from_command_line(name, value)
            for name, value in (node.get_all_context() or {}).items()
            if name.startswith(f"{_PREFIX}.")
        }
        folder = Path() if file is None else Path(file).parent
        return _settings({**values, **overrides}, folder, source, overrides)

    @classmethod
    def from_file(cls, path: str | Path) -> "Settings":
        """Read a settings file, JSON or YAML. Raises SettingsError."""
        return _settings(_read(path), Path(path).parent, str(path))

    @classmethod
    def from_values(cls, values: Mapping[str, Any], *, folder: Path = Path()) -> "Settings":
        """Check `values`, by their names in camelCase; paths in them are relative to `folder`. Raises SettingsError."""
        return _settings(values, folder)


@functools.cache
def settings_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a settings file, for editors: names, types, allowed values, descriptions."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | json_schema(Settings)


def _settings(values: Mapping[str, Any], folder: Path, file: str = "", elsewhere: Collection[str] = ()) -> Settings:
    """`values` as Settings. They come from `file`, but for those that `elsewhere` names. Raises SettingsError."""
    try:
        settings = read(Settings, values)
        mistakes = list(broken_rules(settings, frozenset()))
    except Mistakes as error:
        mistakes = [*error.mistakes, *_mistakes_beside(error.mistakes, values)]
    if mistakes:
        lines = [_line(each, "" if each.path and each.path[0] in elsewhere else file) for each in mistakes]
        raise SettingsError("\n".join(lines))
    return _resolved(settings, folder)


def _mistakes_beside(mistakes: Sequence[Mistake], values: Mapping[str, Any]) -> list[Mistake]:
    """What breaks a rule beside `mistakes`: each of these is given the value of its example, to look at the others."""
    if not all(each.path for each in mistakes):
        return []
    wrong = frozenset(str(each.path[0]) for each in mistakes)
    known: dict[str, Any] = settings_schema()["properties"]
    right = {name: value for name, value in values.items() if name in known and name not in wrong}
    examples = {name: each["examples"][0] for name, each in known.items() if name in wrong}
    return list(broken_rules(read(Settings, right | examples), wrong))


def error_of(name: str, what: object) -> SettingsError:
    """What a construct or a file says is wrong with the setting `name`, unless it begins with the setting. Constructs
    name their props."""
    text = re.sub(r"(?<![\w./-])[a-z]+(?:_[a-z0-9]+)+(?![\w./-])", lambda prop: _setting_of(prop[0]), str(what))
    first = re.split(", |: ", text)[0]
    return SettingsError(
        one_line(f"{_PREFIX}.{text if first in settings_schema()['properties'] else f'{name}: {text}'}")
    )


def _setting_of(prop: str) -> str:
    name = {"record_type": "record_types"}.get(prop, prop)
    return camel_case(name) if camel_case(name) in settings_schema()["properties"] else prop


def _line(mistake: Mistake, file: str) -> str:
    """`file: offchain.peers[0]: what is wrong. What the setting means, such as an example`."""
    wrong = "wrong: " if mistake.kind == "wrong" else ""
    where = f"{file}: {_PREFIX}" if file else _PREFIX
    text = f"{where}{'.' * bool(mistake.path)}{place(mistake.path)}: {wrong}{mistake.what}"
    setting = settings_schema()["properties"].get(mistake.path[0]) if mistake.path else None
    if setting is None:
        return one_line(text.replace("no such key", "no such setting"))
    stop = "" if text.endswith(("?", ".")) else "."
    return one_line(f"{text}{stop} {_explained(mistake.path, setting)}")


def _explained(path: tuple[str | int, ...], setting: Mapping[str, Any]) -> str:
    """What the setting means, with an example; within it, the example's part at `path`, if it has one."""
    example, inner = setting["examples"][0], path[1:]
    if not inner:
        return f"{setting['description']}, such as {json.dumps(example)}"
    parts = [example]
    for key in inner:
        if isinstance(key, int):
            parts = [each for part in parts if isinstance(part, list) for each in part]
        else:
            parts = [part[key] for part in parts if isinstance(part, dict) and key in part]
    return f"Example: {json.dumps(parts[0])}" if parts else str(setting["description"])


def _resolved(settings: Settings, folder: Path) -> Settings:
    """With the path of the connection profile from here, and the names of all secrets."""
    profile = settings.connection_profile and str(folder / settings.connection_profile)
    users = tuple(
        user
        if user.certificate
        else FabricUser.from_secret_names(user.name, member=settings.member or "", pattern=settings.secret_name_pattern)
        for user in settings.users
    )
    return dataclasses.replace(settings, connection_profile=profile, users=users)


def _read(file: Any) -> dict[str, Any]:
    if not isinstance(file, str | Path):
        raise SettingsError(f"{_FILE}: {found(file)} is not the path of a file, such as settings/test.yaml")
    try:
        value = read_plain(Path(file).read_bytes())
    except OSError as error:
        raise SettingsError(one_line(f"{_FILE}: {file}: {error.strerror}, such as settings/test.yaml")) from error
    except ValueError as error:
        raise SettingsError(one_line(f"{_FILE}: {file} {error}")) from error
    if not isinstance(value, dict):
        raise SettingsError(one_line(f"{_FILE}: {file} holds no settings, such as mspId: Org1MSP"))
    for outer in ("context", _PREFIX):
        if outer in value:
            what = f"{outer} is for cdk.json; here each setting is at the top level, such as mspId: Org1MSP"
            raise SettingsError(one_line(f"{_FILE}: {file}: {what}"))
    return value


def _refuse_repeated_keys(file: Path, values: Mapping[str, Any]) -> None:
    """CDK itself reads cdk.json, and of a key that is there twice passes on only one value."""
    try:
        text = file.read_text("utf-8")
        if json.loads(text)["context"][_PREFIX] == values:
            read_json(text)
    except RepeatedKeyError as error:
        raise SettingsError(one_line(f"{file} {error}")) from error
    except (OSError, ValueError, LookupError, TypeError):
        # The context comes from elsewhere.
        return


def _from_command_line(name: str, value: Any) -> Any:
    """`-c` gives every value as text: JSON where it reads as such."""
    if not isinstance(value, str):
        return value
    try:
        return read_json(value)
    except RepeatedKeyError as error:
        raise SettingsError(one_line(f"{name} {error}")) from error
    except ValueError:
        return value
