"""What the settings must be to each other. Each rule says what contradicts, or is missing beside others."""

import itertools
from collections.abc import Callable, Iterator, Set
from typing import TYPE_CHECKING

from .mistakes import Mistake, camel_case

if TYPE_CHECKING:
    from .settings import Settings

Finding = tuple[str, str]
"""A setting's name as in Python, and what is said of it."""

_SUBNETS = ("availability_zones", "subnet_ids", "route_table_ids")
_EXPLICIT = ("msp_id", "peers", "orderers", "tls_roots")
_BESIDE_A_PROFILE = ("msp_id", "orderers", "tls_roots")
"""What a profile may leave out, or is taken in place of what it says: reading it tells whether it does."""


def broken_rules(settings: "Settings", wrong: Set[str]) -> Iterator[Mistake]:
    """The mistakes in `settings`, in which each of the settings `wrong` has the value of its example: a rule about the
    value of one of these has nothing to say yet."""
    for needed, rule in _RULES:
        if not wrong & {camel_case(name) for name in needed}:
            for name, what in rule(settings):
                kind = "missing" if what.startswith("missing") else "rule"
                yield Mistake(path=(camel_case(name),), what=what, kind=kind)


def _require_one_network(settings: "Settings") -> Iterator[Finding]:
    """Peers, orderers, TLS roots and MSP id come from one place only."""
    given = [name for name in _EXPLICIT if getattr(settings, name) is not None]
    if settings.connection_profile and settings.managed_blockchain:
        yield "connection_profile", "contradicts managedBlockchain: give one of them"
    elif settings.managed_blockchain:
        for name in given:
            yield name, "contradicts managedBlockchain, which says it: leave one of them out"
    elif settings.connection_profile:
        for name in given:
            if name not in _BESIDE_A_PROFILE:
                yield name, "contradicts connectionProfile, which says it: leave one of them out"
    else:
        for name in _EXPLICIT:
            if name not in given:
                yield name, "missing"


def _require_managed_blockchain(settings: "Settings") -> Iterator[Finding]:
    if settings.fabric_endpoint != "create" and not settings.managed_blockchain:
        yield "fabric_endpoint", "is for managedBlockchain only"


def _require_endpoints_of_ours(settings: "Settings") -> Iterator[Finding]:
    """Only the policy and the group of an endpoint that is made here can admit others."""
    secrets_made = settings.secrets_manager_endpoint == "create"
    fabric_made = settings.managed_blockchain is not None and settings.fabric_endpoint == "create"
    for name, made, endpoint in (
        ("admitted_buckets", settings.s3_endpoint == "create", "s3Endpoint"),
        ("admitted_secrets", secrets_made, "secretsManagerEndpoint"),
        ("admitted_security_group_ids", secrets_made or fabric_made, "secretsManagerEndpoint"),
    ):
        if getattr(settings, name) and not made:
            yield (
                name,
                f"is for an endpoint made here: set {endpoint} to create, or let its owner admit them",
            )


def _require_tls_roots_in_s3(settings: "Settings") -> Iterator[Finding]:
    if settings.tls_roots_key_arn and not (settings.tls_roots or "").startswith("s3://"):
        yield "tls_roots_key_arn", "is for tlsRoots in S3"


def _refuse_rules_for_given_groups(settings: "Settings") -> Iterator[Finding]:
    """Rules are added to the groups that are made here."""
    for name in ("dns_servers", "s3_prefix_list_id"):
        if settings.security_group_ids and getattr(settings, name):
            yield name, "contradicts securityGroupIds, whose rules are yours: leave one of them out"


def _require_subnets(settings: "Settings") -> Iterator[Finding]:
    """The subnets are all named, or looked up."""
    given = [name for name in _SUBNETS if getattr(settings, name) is not None]
    for name in _SUBNETS if given else ("account", "region"):
        if getattr(settings, name) is None:
            yield name, "missing"


def _require_even_subnets(settings: "Settings") -> Iterator[Finding]:
    zones, subnets = len(settings.availability_zones or ()), len(settings.subnet_ids or ())
    if zones and subnets % zones:
        yield "subnet_ids", f"{subnets} subnets cannot be spread evenly over {zones} availabilityZones"


def _require_a_table_for_each_subnet(settings: "Settings") -> Iterator[Finding]:
    subnets, tables = settings.subnet_ids, settings.route_table_ids
    if subnets and tables and len(tables) != len(subnets):
        yield "route_table_ids", f"{len(tables)} given for {len(subnets)} subnetIds; name one for each"


def _require_a_pool_for_scopes(settings: "Settings") -> Iterator[Finding]:
    if settings.user_pool_scopes and not settings.user_pool_arn:
        yield "user_pool_scopes", "is for userPoolArn only"


def _require_peers_that_can_endorse(settings: "Settings") -> Iterator[Finding]:
    member = settings.managed_blockchain
    peers = len(member.node_ids if member else settings.peers or ())
    if peers and settings.endorsements > peers:
        yield "endorsements", f"{peers} peers cannot give that many"


def _require_peers_of_the_organizations(settings: "Settings") -> Iterator[Finding]:
    member, asked = settings.managed_blockchain, settings.endorsing_organizations or 0
    peers = len(member.node_ids if member else settings.peers or ())
    if peers and (asked if isinstance(asked, int) else len(asked)) > peers:
        yield "endorsing_organizations", f"{peers} peers cannot be of that many"


def _require_callers_of_the_pool(settings: "Settings") -> Iterator[Finding]:
    """A claim comes from a user pool, a principal does not."""
    if settings.callers and settings.callers.principals is None and not settings.user_pool_arn:
        yield "callers", "a claim needs userPoolArn"
    if settings.callers and settings.callers.principals is not None and settings.user_pool_arn:
        yield "callers", "callers of userPoolArn are no IAM principals; give a claim"


def _require_known_callers(settings: "Settings") -> Iterator[Finding]:
    """Every Fabric user that callers act as is one of the deployment's."""
    users = [user.name for user in settings.users]
    for user in (settings.callers and settings.callers.principals) or ():
        if user not in users:
            yield "callers", f"{user!r} is not one of users"


def _require_a_member_for_names(settings: "Settings") -> Iterator[Finding]:
    by_name = [user.name for user in settings.users if not user.certificate]
    if by_name and settings.member is None and "{member}" in settings.secret_name_pattern:
        yield "member", f"missing, and the secrets of user {by_name[0]!r} are named by it"


def _require_prefixes_apart(settings: "Settings") -> Iterator[Finding]:
    """Each record type's functions may do with all objects below its prefix what they do with its own."""
    for each, other in itertools.permutations(settings.record_types, 2):
        inner, outer = each.key_prefix, other.key_prefix
        # The same prefix is said once.
        if inner.startswith(outer) and (inner != outer or each.name < other.name):
            yield (
                "record_types",
                f"the keyPrefix {inner!r} of {each.name} is within {outer!r} of {other.name}; choose prefixes of which "
                "none begins with another",
            )


def _require_ages_in_order(settings: "Settings") -> Iterator[Finding]:
    if settings.look_back_days <= settings.unretirable_age_days:
        yield (
            "look_back_days",
            f"{settings.look_back_days} must be more than the {settings.unretirable_age_days} of unretirableAgeDays, "
            "or sweeps pass some objects over undecided",
        )
    if settings.minimum_age_minutes > settings.unretirable_age_days * 24 * 60:
        yield (
            "minimum_age_minutes",
            f"{settings.minimum_age_minutes} is longer than unretirableAgeDays; make it shorter",
        )


def _refuse_limits_of_no_function(settings: "Settings") -> Iterator[Finding]:
    if settings.functions and settings.functions.chaincode and settings.chaincode_function_arn:
        yield "functions", "chaincode is for a function that this makes, not for that of chaincodeFunctionArn"


_RULES: tuple[tuple[tuple[str, ...], Callable[["Settings"], Iterator[Finding]]], ...] = (
    ((), _require_one_network),
    (("fabric_endpoint",), _require_managed_blockchain),
    (("s3_endpoint", "secrets_manager_endpoint", "fabric_endpoint"), _require_endpoints_of_ours),
    (("tls_roots",), _require_tls_roots_in_s3),
    ((), _refuse_rules_for_given_groups),
    ((), _require_subnets),
    (("availability_zones", "subnet_ids"), _require_even_subnets),
    (("subnet_ids", "route_table_ids"), _require_a_table_for_each_subnet),
    ((), _require_a_pool_for_scopes),
    (("managed_blockchain", "peers", "endorsements"), _require_peers_that_can_endorse),
    (("managed_blockchain", "peers", "endorsing_organizations"), _require_peers_of_the_organizations),
    (("callers",), _require_callers_of_the_pool),
    (("callers", "users"), _require_known_callers),
    (("users", "secret_name_pattern"), _require_a_member_for_names),
    (("record_types",), _require_prefixes_apart),
    (("look_back_days", "unretirable_age_days", "minimum_age_minutes"), _require_ages_in_order),
    (("functions",), _refuse_limits_of_no_function),
)
"""Each rule with the settings whose value, not only whose presence, it looks at."""
