"""Deploy-time settings, read from CDK context in one place."""

import dataclasses
import json
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from constructs import Node

from .callers import Callers
from .endpoint import Endpoint
from .fabric import SECRET_NAME_PATTERN, FabricUser
from .record_type import DONOR, RecordType, camel_case

_PREFIX = "offchain"
_FILE = "offchainSettings"
_SUBNETS = ("availability_zones", "subnet_ids", "route_table_ids")
_EXPLICIT = ("msp_id", "peers", "orderers", "tls_roots")


class SettingsError(ValueError):
    """A setting is missing, wrong, unknown or contradicts another: one line that names it and shows an example."""


def _text(pattern: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError
        return value

    return parse


def _texts(pattern: str) -> Callable[[Any], tuple[str, ...]]:
    def parse(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            raise ValueError
        return tuple(_text(pattern)(part) for part in value)

    return parse


def _number(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError
    return value


def _organizations(value: Any) -> int | tuple[str, ...]:
    if not isinstance(value, list):
        return _number(value)
    msp_ids = _texts(r"[A-Za-z0-9._-]+")(value)
    if len(set(msp_ids)) != len(msp_ids):
        raise ValueError
    return msp_ids


def _at_most(most: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if _number(value) > most:
            raise ValueError
        return _number(value)

    return parse


def _endpoints(value: Any) -> tuple[Endpoint, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError
    endpoints = []
    for part in value:
        known = {"endpoint": part} if isinstance(part, str) else part
        if not isinstance(known, dict) or not {"endpoint"} <= set(known) <= {"endpoint", "tlsHostname", "mspId"}:
            raise ValueError
        if not all(isinstance(text, str) for text in known.values()):
            raise ValueError
        endpoints.append(
            Endpoint(address=known["endpoint"], tls_hostname=known.get("tlsHostname"), msp_id=known.get("mspId"))
        )
    if len({endpoint.address for endpoint in endpoints}) != len(endpoints):
        raise ValueError
    return tuple(endpoints)


def _tls_roots(value: Any) -> str:
    return _text(r"s3://[a-z0-9.-]+/.+|(?s:.*-----BEGIN CERTIFICATE-----.+-----END CERTIFICATE-----.*)")(value)


def _object(value: Any, names: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != names:
        raise ValueError
    return value


@dataclass(frozen=True, kw_only=True)
class ManagedBlockchainMember:
    """A member of a Managed Blockchain network, and its peer nodes to endorse at."""

    network_id: str
    member_id: str
    node_ids: tuple[str, ...]


def _member(value: Any) -> ManagedBlockchainMember:
    given = _object(value, {"networkId", "memberId", "nodeIds"})
    return ManagedBlockchainMember(
        network_id=_text(r"n-[A-Z0-9]+")(given["networkId"]),
        member_id=_text(r"m-[A-Z0-9]+")(given["memberId"]),
        node_ids=_texts(r"nd-[A-Z0-9]+")(given["nodeIds"]),
    )


@dataclass(frozen=True, kw_only=True)
class InterfaceEndpoint:
    """An interface endpoint that is there, and the security group that guards it."""

    id: str
    security_group_id: str


def _fabric_endpoint(value: Any) -> str | InterfaceEndpoint:
    if isinstance(value, str):
        return _text("create|keep")(value)
    given = _object(value, {"id", "securityGroupId"})
    return InterfaceEndpoint(
        id=_text(r"vpce-[0-9a-f]+")(given["id"]), security_group_id=_text(r"sg-[0-9a-f]+")(given["securityGroupId"])
    )


@dataclass(frozen=True, kw_only=True)
class UsagePlan:
    """The API keys that requests need, each by its name, and what one may do: requests a second, at once, a month."""

    api_keys: tuple[str, ...]
    rate_limit: int
    burst_limit: int
    monthly_quota: int | None


def _usage_plan(value: Any) -> UsagePlan:
    if not isinstance(value, dict):
        raise ValueError
    names = {"apiKeys", "rateLimit", "burstLimit"}
    given = _object(value, names | ({"monthlyQuota"} & set(value)))
    keys = _texts(r"[A-Za-z][A-Za-z0-9-]{0,63}")(given["apiKeys"])
    if len(set(keys)) != len(keys):
        raise ValueError
    return UsagePlan(
        api_keys=keys,
        rate_limit=_number(given["rateLimit"]),
        burst_limit=_number(given["burstLimit"]),
        monthly_quota=_number(given["monthlyQuota"]) if "monthlyQuota" in given else None,
    )


def _callers(value: Any) -> Callers:
    match value:
        case {"claim": str(name)} if len(value) == 1:
            return Callers.by_claim(name)
        case {"principals": dict(users)} if len(value) == 1:
            return Callers.by_principal({user: _texts(".+")(arns) for user, arns in users.items()})
    raise ValueError


def _record_types(value: Any) -> tuple[RecordType, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError
    types = tuple(DONOR if each == DONOR.path else RecordType.from_values(each) for each in value)
    for kind in ("name", "path"):
        given = [getattr(each, kind) for each in types]
        if len(set(given)) != len(given):
            raise ValueError(f"two have the same {kind}")
    return types


def _secret_names(value: Any) -> str:
    pattern = _text(r"[A-Za-z0-9/_+=.@{}-]+")(value)
    fields = [field for _, field, *_ in string.Formatter().parse(pattern) if field is not None]
    if not {"user", "part"} <= set(fields) <= {"member", "user", "part"}:
        raise ValueError
    return pattern


def _users(value: Any) -> tuple[Any, ...]:
    """User names, or objects with a name and the secrets; made into FabricUser when all settings are known."""
    if not isinstance(value, list) or not value:
        raise ValueError
    for part in value:
        if isinstance(part, dict):
            if set(part) != {"name", "certificate", "privateKey"}:
                raise ValueError
            for secret in (part["certificate"], part["privateKey"]):
                _text(r"[A-Za-z0-9/_+=.@:-]+")(secret)
        _text(r"[A-Za-z0-9_+=.@-]{1,64}")(part["name"] if isinstance(part, dict) else part)
    names = [part["name"] if isinstance(part, dict) else part for part in value]
    if len(set(names)) != len(names):
        raise ValueError
    return tuple(value)


@dataclass(frozen=True, kw_only=True)
class _Setting:
    parse: Callable[[Any], Any]
    example: Any
    doc: str


def _setting(parse: Callable[[Any], Any], example: Any, doc: str, **default: Any) -> Any:
    return dataclasses.field(metadata={"setting": _Setting(parse=parse, example=example, doc=doc)}, **default)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one deployment. In CDK context they are the object `offchain`, their names in camelCase, or in
    its place a file that `-c offchainSettings=<path>` names. Each can be overridden by a context value of its own, such
    as `-c offchain.mspId=Org2MSP`."""

    stack_name: str = _setting(
        _text(r"[A-Za-z][A-Za-z0-9-]{0,127}"),
        "OffChainTest",
        "Name of the stack, one for each deployment in an account and region",
        default="OffChainStack",
    )
    vpc_id: str = _setting(_text(r"vpc-[0-9a-f]+"), "vpc-0123456789abcdef0", "VPC of the functions")
    availability_zones: tuple[str, ...] | None = _setting(
        _texts(r"[a-z0-9-]+"),
        ["us-east-1a", "us-east-1b"],
        "Availability zones of the subnets; without these three the VPC's private subnets are looked up at synth",
        default=None,
    )
    subnet_ids: tuple[str, ...] | None = _setting(
        _texts(r"subnet-[0-9a-f]+"),
        ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        "Subnets of the functions, as many for each availability zone",
        default=None,
    )
    route_table_ids: tuple[str, ...] | None = _setting(
        _texts(r"rtb-[0-9a-f]+"),
        ["rtb-0123456789abcdef0", "rtb-0123456789abcdef0"],
        "Route table of each subnet, in the same order",
        default=None,
    )
    account: str | None = _setting(
        _text(r"\d{12}"), "111122223333", "Account to deploy to; needed to look the VPC up", default=None
    )
    region: str | None = _setting(
        _text(r"[a-z]{2}(-[a-z]+)+-\d"), "us-east-1", "Region to deploy to; needed to look the VPC up", default=None
    )
    security_group_ids: tuple[str, ...] | None = _setting(
        _texts(r"sg-[0-9a-f]+"),
        ["sg-0123456789abcdef0"],
        "Security groups of the functions, which let them out to HTTPS, peers and orderers; made by default",
        default=None,
    )
    managed_blockchain: ManagedBlockchainMember | None = _setting(  # noqa: RUF009
        _member,
        {
            "networkId": "n-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "memberId": "m-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "nodeIds": ["nd-ABCDEFGHIJKLMNOPQRSTUVWXYZ"],
        },
        "Managed Blockchain member whose endpoints, TLS chain and MSP id are looked up when deploying",
        default=None,
    )
    fabric_endpoint: str | InterfaceEndpoint = _setting(  # noqa: RUF009
        _fabric_endpoint,
        {"id": "vpce-0123456789abcdef0", "securityGroupId": "sg-0123456789abcdef0"},
        "Interface endpoint to Managed Blockchain: create one, keep the way the subnets have, or use this one",
        default="create",
    )
    connection_profile: str | None = _setting(
        _text(r".+"),
        "networks/org1.yaml",
        "Connection profile with peers, orderers, TLS roots and MSP id, JSON or YAML; relative to the settings file",
        default=None,
    )
    msp_id: str | None = _setting(
        _text(r"[A-Za-z0-9._-]+"),
        "Org1MSP",
        "MSP id of the users' organisation; this and the next three unless one of the two above tells them",
        default=None,
    )
    channel: str = _setting(_text(r"[a-z][a-z0-9.-]{0,248}"), "mychannel", "Channel of the chaincode")
    chaincode: str = _setting(_text(r"[A-Za-z0-9]+([-_][A-Za-z0-9]+)*"), "ngo", "Name of the chaincode")
    peers: tuple[Endpoint, ...] | None = _setting(
        _endpoints,
        [{"endpoint": "peer0.org1.example.com:7051"}],
        "Peers to endorse, as host:port; with tlsHostname where the certificate has another name, and mspId to tell "
        "its organisation before it has answered",
        default=None,
    )
    orderers: tuple[Endpoint, ...] | None = _setting(
        _endpoints, [{"endpoint": "orderer.example.com:7050"}], "Orderers, written like the peers", default=None
    )
    endorsements: int = _setting(_number, 1, "Number of peers that must agree", default=1)
    endorsing_organizations: int | tuple[str, ...] | None = _setting(
        _organizations,
        ["Org1MSP", "Org2MSP"],
        "Organisations that must endorse: how many, or their MSP ids; by default those that the chaincode's policy asks"
        " for, as the peers tell it, and if none of them does, all that the peers are of",
        default=None,
    )
    tls_roots: str | None = _setting(
        _tls_roots,
        "s3://us-east-1.managedblockchain/etc/managedblockchain-tls-chain.pem",
        "CA certificates of peers and orderers: PEM text or an S3 location in the stack's region",
        default=None,
    )
    record_types: tuple[RecordType, ...] = _setting(
        _record_types,
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
        "What is recorded: `donors`, and types of your own",
        default=(DONOR,),
    )
    chaincode_function_arn: str | None = _setting(
        _text(r"arn:[^:]+:lambda:[^:]+:\d{12}:function:[^:]+(:[^:]+)?"),
        "arn:aws:lambda:us-east-1:111122223333:function:ngo-lambda",
        "Existing function that invokes the chaincode (the workshop's) in place of ours; synth says what is then not "
        "guaranteed",
        default=None,
    )
    users: tuple[FabricUser, ...] = _setting(
        _users,
        ["lambdaUser"],
        "Fabric users that a request may name, the first by default; with secrets of other names as "
        '{"name", "certificate", "privateKey"}, each secret a name or an ARN',
    )
    member: str | None = _setting(
        _text(r"[A-Za-z0-9_+=.@-]+"), "member1", "Member in the secrets' names; needed for users by name", default=None
    )
    secret_name_pattern: str = _setting(
        _secret_names,
        SECRET_NAME_PATTERN,
        "Names of the secrets, with {user}, {part} (signcert or pk) and perhaps {member}",
        default=SECRET_NAME_PATTERN,
    )
    secrets_key_arn: str | None = _setting(
        _text(r"arn:[^:]+:kms:[^:]+:\d{12}:key/.+"),
        "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "Customer key that encrypts the secrets",
        default=None,
    )
    s3_endpoint: str = _setting(
        _text("create|keep"),
        "create",
        "S3 gateway endpoint: create one on the route tables, or keep the one they have",
        default="create",
    )
    secrets_manager_endpoint: str = _setting(
        _text("create|keep"),
        "create",
        "Secrets Manager interface endpoint: create one, or keep the way the subnets have",
        default="create",
    )
    bucket_name: str | None = _setting(
        _text(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"), "my-donor-images", "Versioned bucket to use", default=None
    )
    kms_key_arn: str | None = _setting(
        _text(r"arn:[^:]+:kms:[^:]+:\d{12}:key/.+"),
        "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "Customer key for the new bucket, or of the one that bucketName names",
        default=None,
    )
    cloud_watch_role: str = _setting(
        _text("create|keep"),
        "create",
        "Role by which API Gateway writes logs, one for the account and region: create it, or keep the one there is",
        default="create",
    )
    noncurrent_days: int = _setting(_number, 30, "Days until an old object version is deleted", default=30)
    sweep_interval_minutes: int = _setting(
        _at_most(720), 60, "Minutes, at most 720, between two sweeps of the last day's objects", default=60
    )
    url_expires_minutes: int = _setting(
        _at_most(60), 5, "Minutes, at most 60, that a URL to a verified picture is good for", default=5
    )
    monitoring: str = _setting(
        _text("create|none"), "create", "Dashboard and alarms: create them, or have none", default="create"
    )
    alarm_topic_arn: str | None = _setting(
        _text(r"arn:[^:]+:sns:[^:]+:\d{12}:[A-Za-z0-9_-]{1,256}"),
        "arn:aws:sns:us-east-1:111122223333:on-call",
        "SNS topic that alarms are sent to; nowhere by default",
        default=None,
    )
    verify_all_interval_hours: int | None = _setting(
        _number, 168, "Hours between two verifications of all pictures; none by default", default=None
    )
    throttling_rate_limit: int = _setting(_number, 50, "Requests a second", default=50)
    throttling_burst_limit: int = _setting(_number, 100, "Requests at once", default=100)
    user_pool_arn: str | None = _setting(
        _text(r"arn:[^:]+:cognito-idp:[^:]+:\d{12}:userpool/[A-Za-z0-9-]+_[A-Za-z0-9]+"),
        "arn:aws:cognito-idp:us-east-1:111122223333:userpool/us-east-1_AbCdEfGhI",
        "Cognito user pool whose tokens callers send; by default they sign with IAM credentials",
        default=None,
    )
    user_pool_scopes: tuple[str, ...] | None = _setting(
        _texts(r"\S+"),
        ["records/write"],
        "OAuth scopes, one of which an access token of the pool must have; by default ID tokens are taken",
        default=None,
    )
    usage_plan: UsagePlan | None = _setting(  # noqa: RUF009
        _usage_plan,
        {"apiKeys": ["acme"], "rateLimit": 5, "burstLimit": 10, "monthlyQuota": 100000},
        "API keys that requests need, too, and what each may do (monthlyQuota may be left out)",
        default=None,
    )
    web_acl_arn: str | None = _setting(
        _text(r"arn:[^:]+:wafv2:[^:]+:\d{12}:regional/webacl/[^/]+/[^/]+"),
        "arn:aws:wafv2:us-east-1:111122223333:regional/webacl/offchain/1234abcd-12ab-34cd-56ef-1234567890ab",
        "AWS WAF web ACL that looks at every request first",
        default=None,
    )
    execute_api_endpoint_ids: tuple[str, ...] | None = _setting(
        _texts(r"vpce-[0-9a-f]+"),
        ["vpce-0123456789abcdef0"],
        "Interface endpoints of execute-api: the API is private, and admits requests through these alone",
        default=None,
    )
    callers: Callers | None = _setting(  # noqa: RUF009
        _callers,
        {"principals": {"lambdaUser": ["arn:aws:iam::111122223333:role/donor-desk"]}},
        'Which Fabric users a caller may act as: by IAM principal, or by a claim of its token, as {"claim": "<name>"}; '
        "by default all",
        default=None,
    )

    @classmethod
    def from_context(cls, node: Node) -> "Settings":
        """Read the settings from the context of `node`. Raises SettingsError."""
        file = node.try_get_context(_FILE)
        values = _read(Path(file)) if file else node.try_get_context(_PREFIX)
        if values is None:
            values = {}
        if not isinstance(values, dict):
            raise SettingsError(f'{_PREFIX}: must be an object in CDK context, such as {{"mspId": "Org1MSP", ...}}')
        overrides = {
            name.removeprefix(f"{_PREFIX}."): value
            for name, value in (node.get_all_context() or {}).items()
            if name.startswith(f"{_PREFIX}.")
        }
        given = {name: _from_command_line(value) for name, value in overrides.items()}
        return cls.from_values({**values, **given}, folder=Path(file).parent if file else Path())

    @classmethod
    def from_file(cls, path: str | Path) -> "Settings":
        """Read a settings file, JSON or YAML. Raises SettingsError."""
        return cls.from_values(_read(Path(path)), folder=Path(path).parent)

    @classmethod
    def from_values(cls, values: Mapping[str, Any], *, folder: Path = Path()) -> "Settings":
        """Check `values`, by their names in camelCase; paths in them are relative to `folder`. Raises SettingsError."""
        fields = {camel_case(field.name): field for field in dataclasses.fields(cls)}
        for name in values:
            if name not in fields:
                raise SettingsError(f"{_PREFIX}.{name}: there is no such setting; known are {', '.join(fields)}")
        parsed: dict[str, Any] = {}
        for name, field in fields.items():
            setting: _Setting = field.metadata["setting"]
            if name in values:
                try:
                    parsed[field.name] = setting.parse(values[name])
                except ValueError as error:
                    raise _error(name, f"wrong: {error}" if str(error) else "wrong", setting) from error
            elif field.default is dataclasses.MISSING:
                raise _error(name, "missing", setting)
        if parsed.get("connection_profile"):
            parsed["connection_profile"] = str(folder / parsed["connection_profile"])
        parsed["users"] = _resolve_users(parsed)
        settings = cls(**parsed)
        settings._require_one_network()
        settings._require_subnets()
        settings._refuse_contradictions()
        settings._refuse_unknown_callers()
        return settings

    def _require_one_network(self) -> None:
        """Peers, orderers, TLS roots and MSP id come from one place only."""
        given = [name for name in _EXPLICIT if getattr(self, name) is not None]
        if self.connection_profile and self.managed_blockchain:
            raise _error_of("connection_profile", "contradicts managedBlockchain: give one of them")
        if self.managed_blockchain and given:
            raise _error_of(given[0], "contradicts managedBlockchain, which tells it: leave one of them out")
        if self.connection_profile:
            if [name for name in given if name != "tls_roots"]:
                raise _error_of(given[0], "contradicts connectionProfile, which tells it: leave one of them out")
        elif not self.managed_blockchain:
            for name in _EXPLICIT:
                if name not in given:
                    raise _error_of(name, "missing")
        if self.fabric_endpoint != "create" and not self.managed_blockchain:
            raise _error_of("fabric_endpoint", "is for managedBlockchain only")

    def _require_subnets(self) -> None:
        """The subnets are all named, or looked up."""
        given = [name for name in _SUBNETS if getattr(self, name) is not None]
        for name in _SUBNETS if given else ("account", "region"):
            if getattr(self, name) is None:
                raise _error_of(name, "missing")

    def _refuse_contradictions(self) -> None:
        zones, subnets, tables = (len(getattr(self, name) or ()) for name in _SUBNETS)
        peers = len(self.managed_blockchain.node_ids if self.managed_blockchain else self.peers or ())
        asked = self.endorsing_organizations or 0
        organizations = asked if isinstance(asked, int) else len(asked)
        contradictions = {
            "subnetIds": (
                zones and subnets % zones,
                f"{subnets} subnets cannot be spread evenly over {zones} availabilityZones",
            ),
            "routeTableIds": (tables != subnets, f"{tables} given for {subnets} subnetIds; name one for each"),
            "userPoolScopes": (self.user_pool_scopes and not self.user_pool_arn, "is for userPoolArn only"),
            "endorsements": (peers and self.endorsements > peers, f"{peers} peers cannot give that many"),
            "endorsingOrganizations": (peers and organizations > peers, f"{peers} peers cannot be of that many"),
        }
        for name, (contradiction, text) in contradictions.items():
            if contradiction:
                raise next(
                    _error_of(field.name, text) for field in dataclasses.fields(self) if camel_case(field.name) == name
                )

    def _refuse_unknown_callers(self) -> None:
        """A claim comes from a user pool, a principal does not, and every Fabric user is one of the deployment's."""
        if self.callers and self.callers.principals is None and not self.user_pool_arn:
            raise _error_of("callers", "a claim needs userPoolArn")
        if self.callers and self.callers.principals is not None:
            if self.user_pool_arn:
                raise _error_of("callers", "callers of userPoolArn are no IAM principals; give a claim")
            for user in self.callers.principals:
                if user not in [each.name for each in self.users]:
                    raise _error_of("callers", f"{user!r} is not one of users")


def _resolve_users(parsed: Mapping[str, Any]) -> tuple[FabricUser, ...]:
    users = []
    pattern = parsed.get("secret_name_pattern", SECRET_NAME_PATTERN)
    for user in parsed["users"]:
        if isinstance(user, dict):
            users.append(FabricUser(name=user["name"], certificate=user["certificate"], private_key=user["privateKey"]))
        elif "member" in parsed or "{member}" not in pattern:
            users.append(FabricUser.from_secret_names(user, member=parsed.get("member", ""), pattern=pattern))
        else:
            raise _error_of("member", f"missing, and the secrets of user {user!r} are named by it")
    return tuple(users)


def _error(name: str, what: str, setting: _Setting) -> SettingsError:
    return SettingsError(f"{_PREFIX}.{name}: {what}. {setting.doc}, such as {json.dumps(setting.example)}")


def _error_of(field_name: str, what: str) -> SettingsError:
    field = next(field for field in dataclasses.fields(Settings) if field.name == field_name)
    return _error(camel_case(field_name), what, field.metadata["setting"])


def _read(path: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{_FILE}: {path}: {error.strerror}, such as settings/test.yaml") from error
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"{_FILE}: {path} is neither JSON nor YAML: {reason}, such as mspId: Org1MSP") from error
    if not isinstance(value, dict):
        raise SettingsError(f"{_FILE}: {path} holds no settings, such as mspId: Org1MSP")
    return value


def _from_command_line(value: Any) -> Any:
    """`-c` gives every value as text: JSON where it reads as such."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
