"""The types of the settings: what each may be, and of those that are made of others, how they are written in a file."""

import ipaddress
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, make_dataclass
from typing import Annotated, Any, Literal, TypeVar

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from pydantic import Discriminator, Tag, with_config

from . import pem
from .callers import Callers
from .endpoint import Endpoint
from .fabric import FabricUser
from .function import LONGEST_TIMEOUTS, FunctionLimits
from .model import (
    MODEL,
    Count,
    IfGiven,
    Many,
    Marker,
    between,
    checked,
    described,
    distinct,
    length,
    made_of,
    matching,
    one_of,
    text_or,
)
from .monitoring import AlarmThresholds
from .record_type import DONOR, RecordType

T = TypeVar("T")


def _no_address(bucket: str) -> str:
    if re.fullmatch(r"[0-9]+(\.[0-9]+){3}", bucket):
        raise ValueError(f"{bucket!r} has the form of an IP address, which no bucket's name has")
    return bucket


CreateOrKeep = Literal["create", "keep"]


def _ipv4(address: str) -> str:
    try:
        return str(ipaddress.IPv4Network(address))
    except ValueError as error:
        raise ValueError(f"{error}; give an address, or a range such as 10.0.0.0/28") from error


Account = Annotated[str, matching(r"[0-9]{12}")]
ApiKeyName = Annotated[str, matching(r"[A-Za-z][A-Za-z0-9-]{0,63}")]
AvailabilityZone = Annotated[str, matching(r"[a-z0-9-]+")]
BucketName = Annotated[
    str,
    length(3, 63),
    matching(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"),
    checked(_no_address),
]
BucketNames = Annotated[str, matching(r"[*]|[a-z0-9*][a-z0-9.*-]{1,61}[a-z0-9*]")]
ChaincodeName = Annotated[str, matching(r"[A-Za-z0-9]+([-_][A-Za-z0-9]+)*")]
ChannelName = Annotated[str, matching(r"[a-z][a-z0-9.-]{0,248}")]
DnsServer = Annotated[str, matching(r"([0-9]{1,3}\.){3}[0-9]{1,3}(/[0-9]{1,2})?"), checked(_ipv4)]
FabricMember = Annotated[str, matching(r"[A-Za-z0-9_+=.@-]+")]
FilePath = Annotated[str, matching(r".+")]
FunctionArn = Annotated[str, matching(r"arn:[^:]+:lambda:[^:]+:[0-9]{12}:function:[^:]+(:[^:]+)?")]
InterfaceEndpointId = Annotated[str, matching(r"vpce-[0-9a-f]+")]
KeyArn = Annotated[str, matching(r"arn:[^:]+:kms:[^:]+:[0-9]{12}:key/.+")]
MspId = Annotated[str, matching(r"[A-Za-z0-9._-]+")]
PrefixListId = Annotated[str, matching(r"pl-[0-9a-f]+")]
Region = Annotated[str, matching(r"[a-z]{2}(-[a-z]+)+-[0-9]")]
RouteTableId = Annotated[str, matching(r"rtb-[0-9a-f]+")]
Scope = Annotated[str, matching(r"[^\s]+")]
SecretNames = Annotated[str, matching(r"[A-Za-z0-9/_+=.@:*-]+")]
SecurityGroupId = Annotated[str, matching(r"sg-[0-9a-f]{8,17}")]
StackName = Annotated[str, matching(r"[A-Za-z][A-Za-z0-9-]{0,127}")]
SubnetId = Annotated[str, matching(r"subnet-[0-9a-f]+")]
TopicArn = Annotated[str, matching(r"arn:[^:]+:sns:[^:]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}")]
UserName = Annotated[str, matching(r"[A-Za-z0-9_+=.@-]{1,64}")]
UserPoolArn = Annotated[str, matching(r"arn:[^:]+:cognito-idp:[^:]+:[0-9]{12}:userpool/[A-Za-z0-9-]+_[A-Za-z0-9]+")]
VpcId = Annotated[str, matching(r"vpc-[0-9a-f]+")]
WebAclArn = Annotated[str, matching(r"arn:[^:]+:wafv2:[^:]+:[0-9]{12}:regional/webacl/[^/]+/[^/]+")]


def _tls_roots(value: str) -> str:
    return value if re.fullmatch(r"s3://[a-z0-9.-]+/.+", value) else pem.tls_roots(value)


TlsRoots = Annotated[
    str,
    checked(
        _tls_roots,
        pattern=r"^(?:s3://[a-z0-9.-]+/.+|[\s\S]*-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----[\s\S]*)$",
    ),
]


def _secret_names(pattern: str) -> str:
    try:
        fields = {field for _, field, *_ in string.Formatter().parse(pattern) if field is not None}
    except ValueError as error:
        raise ValueError(f"{pattern!r} has braces that are not in pairs") from error
    if unknown := sorted(fields - {"member", "user", "part"}):
        raise ValueError(f"{pattern!r} has {{{unknown[0]}}}; there are {{member}}, {{user}} and {{part}}")
    if absent := sorted({"user", "part"} - fields):
        raise ValueError(f"{pattern!r} has no {{{absent[0]}}}, so that different secrets would have one name")
    return pattern


SecretNamePattern = Annotated[str, matching(r"[A-Za-z0-9/_+=.@{}-]+"), checked(_secret_names)]


@with_config(MODEL)
@dataclass(frozen=True, kw_only=True)
class ManagedBlockchainMember:
    """A member of a Managed Blockchain network, and its peer nodes to endorse at."""

    network_id: Annotated[str, matching(r"n-[A-Z0-9]+")]
    member_id: Annotated[str, matching(r"m-[A-Z0-9]+")]
    node_ids: Many[Annotated[str, matching(r"nd-[A-Z0-9]+")]]


@with_config(MODEL)
@dataclass(frozen=True, kw_only=True)
class InterfaceEndpoint:
    """An interface endpoint that exists, and the security group that guards it."""

    id: InterfaceEndpointId
    security_group_id: SecurityGroupId


CreateKeepOrUse = Annotated[
    str | InterfaceEndpoint, made_of(text_or(CreateOrKeep, InterfaceEndpoint), lambda value: value)
]


@with_config(MODEL)
@dataclass(frozen=True, kw_only=True)
class UsagePlan:
    """The API keys that requests need, each by its name, and what one may do: requests a second, at once, a month."""

    api_keys: Annotated[Many[ApiKeyName], distinct()]
    rate_limit: Count
    burst_limit: Count
    monthly_quota: IfGiven[Count] = None


def _without_prop(make: Callable[..., T]) -> Callable[[Any], T]:
    """`make`, whose errors do not begin with the name of its parameter: that is not in the file."""

    def made(value: Any) -> T:
        try:
            return make(value)
        except ValueError as error:
            raise ValueError(str(error).partition(": ")[2] or str(error)) from error

    return made


def _host_and_port(address: str) -> str:
    return Endpoint(address=address).address


NodeAddress = Annotated[str, checked(_host_and_port, pattern="^[A-Za-z0-9.-]+:[0-9]{1,5}$")]


@with_config(MODEL)
@dataclass(frozen=True, kw_only=True)
class NodeEntry:
    endpoint: NodeAddress
    tls_hostname: IfGiven[str] = None
    msp_id: IfGiven[MspId] = None


def _endpoint(node: str | NodeEntry) -> Endpoint:
    if isinstance(node, str):
        return Endpoint(address=node)
    return Endpoint(address=node.endpoint, tls_hostname=node.tls_hostname, msp_id=node.msp_id)


Node = Annotated[Endpoint, made_of(text_or(NodeAddress, NodeEntry), _endpoint)]
Nodes = Annotated[Many[Node], distinct(lambda node: node.address)]

MspIds = Annotated[Many[MspId], distinct()]
Organizations = Annotated[
    Annotated[Count, Tag("<number>")] | Annotated[MspIds, Tag("<list>")],
    Discriminator(lambda value: "<list>" if isinstance(value, list | tuple) else "<number>"),
]
"""So many organisations, or these."""


@with_config(MODEL)
@dataclass(frozen=True, kw_only=True)
class UserEntry:
    name: UserName
    certificate: Annotated[str, matching(r"[A-Za-z0-9/_+=.@:-]+")]
    private_key: Annotated[str, matching(r"[A-Za-z0-9/_+=.@:-]+")]


def _fabric_user(user: str | UserEntry) -> FabricUser:
    """Without secrets where only its name is given: `member` and `secretNamePattern` say how these are named."""
    if isinstance(user, str):
        return FabricUser(name=user, certificate="", private_key="")
    return FabricUser(name=user.name, certificate=user.certificate, private_key=user.private_key)


User = Annotated[FabricUser, made_of(text_or(UserName, UserEntry), _fabric_user)]
Users = Annotated[Many[User], distinct(lambda user: user.name)]


@with_config(MODEL)
@dataclass(frozen=True, kw_only=True)
class FunctionEntry:
    """What one function may use; what is left out stays the function's own."""

    memory_mb: Annotated[
        IfGiven[Annotated[int, between(128, 10_240)]], described("MiB of memory, which also gives processor time", 1024)
    ] = None
    timeout_seconds: Annotated[IfGiven[Annotated[int, between(3, 900)]], described("Seconds of one invocation", 10)] = (
        None
    )
    reserved_concurrency: Annotated[
        IfGiven[Count], described("How many may run at once, taken from the account's quota for it alone", 20)
    ] = None


def _limits_of(function: str) -> Marker:
    """A FunctionEntry with no longer a time-out than the workflow waits for `function`, as FunctionLimits."""
    longest = LONGEST_TIMEOUTS[function]

    def made(entry: FunctionEntry) -> FunctionLimits:
        seconds = entry.timeout_seconds
        if seconds is not None and seconds > longest:
            raise ValueError(f"timeoutSeconds: the workflow waits {longest} seconds for it; give {longest} at most")
        return FunctionLimits(
            memory_size=entry.memory_mb,
            timeout=cdk.Duration.seconds(seconds) if seconds else None,
            reserved_concurrency=entry.reserved_concurrency,
        )

    return made_of(FunctionEntry, made)


@with_config(MODEL)
@dataclass(frozen=True, kw_only=True)
class LimitsOfFunctions:
    """The functions of each record type."""

    upload: IfGiven[Annotated[FunctionLimits, _limits_of("upload")]] = None
    chaincode: IfGiven[Annotated[FunctionLimits, _limits_of("chaincode")]] = None
    query: IfGiven[Annotated[FunctionLimits, _limits_of("query")]] = None
    verify: IfGiven[Annotated[FunctionLimits, _limits_of("verify")]] = None
    sweep: IfGiven[Annotated[FunctionLimits, _limits_of("sweep")]] = None
    verify_all: IfGiven[Annotated[FunctionLimits, _limits_of("verify_all")]] = None


LogRetention = Annotated[
    logs.RetentionDays,
    made_of(Annotated[str, one_of([each.name for each in logs.RetentionDays])], lambda name: logs.RetentionDays[name]),
]

_if_given: Any = IfGiven
_ThresholdsEntry = with_config(MODEL)(
    make_dataclass(
        "AlarmThresholdsEntry",
        [(each.name, _if_given[each.type], None) for each in fields(AlarmThresholds)],
        frozen=True,
        kw_only=True,
    )
)


def _thresholds(entry: Any) -> Mapping[str, float]:
    given = {name: value for name, value in vars(entry).items() if value is not None}
    AlarmThresholds(**given)
    return given


Thresholds = Annotated[Mapping[str, float], made_of(_ThresholdsEntry, _thresholds)]
"""Those of AlarmThresholds that are given, by the names of its props."""


def _record_type(given: str | RecordType) -> RecordType:
    return DONOR if isinstance(given, str) else given


RecordTypes = Annotated[
    Many[Annotated[RecordType, made_of(text_or(Literal["donors"], RecordType), _record_type)]],
    distinct(lambda each: each.name),
    distinct(lambda each: each.path),
]


@with_config(MODEL)
@dataclass(frozen=True, kw_only=True)
class CallersByClaim:
    claim: Annotated[Callers, made_of(str, _without_prop(Callers.by_claim))]


@with_config(MODEL)
@dataclass(frozen=True, kw_only=True)
class CallersByPrincipal:
    principals: Annotated[Callers, made_of(dict[str, Many[str]], _without_prop(Callers.by_principal))]


def _kind_of_callers(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    return "<claim>" if "claim" in value else "<principals>" if "principals" in value else None


CallersOfApi = Annotated[
    Callers,
    made_of(
        Annotated[
            Annotated[CallersByClaim, Tag("<claim>")] | Annotated[CallersByPrincipal, Tag("<principals>")],
            Discriminator(_kind_of_callers),
        ],
        lambda given: given.claim if isinstance(given, CallersByClaim) else given.principals,
    ),
]
