"""All checks of one deployment, in the order in which they depend on each other."""

import itertools
import json
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from shared.identity import Identity
from shared.ledger.network import Network

from .account import check_account, check_bucket, check_key, look_up
from .connection import check_orderer, check_peer
from .deployment import Deployment
from .endpoints import check_duplicates, check_names, orderers, peers
from .finding import Finding, Level, Mistake, ok, skipped
from .policy import PeerView, check_policy
from .tls_roots import check_tls_roots, read_tls_roots
from .users import check_user
from .vpc import check_topic, check_vpc

_NEEDS_AWS = "not checked without AWS"


def examine(deployment: Deployment) -> Iterator[Finding]:
    """The findings, each as soon as it is known. Nothing is written or ordered anywhere."""
    account = check_account(deployment.account)
    yield account
    aws_usable = account.level is Level.OK
    identities = yield from _users(deployment, aws_usable)
    if deployment.bucket:
        subject = f"offchain.bucketName {deployment.bucket}"
        yield from check_bucket(subject, deployment.bucket) if aws_usable else [skipped(subject, _NEEDS_AWS)]
    for setting, key in deployment.keys.items():
        yield check_key(setting, key) if aws_usable else skipped(setting, _NEEDS_AWS)
    if deployment.alarm_topic:
        subject = "offchain.alarmTopicArn"
        yield check_topic(subject, deployment.alarm_topic) if aws_usable else skipped(subject, _NEEDS_AWS)
    roots = yield from _tls_roots(deployment, aws_usable)
    network, service = yield from _network(deployment, roots, aws_usable)
    if deployment.placement:
        subject = f"offchain.vpcId {deployment.placement.vpc_id}"
        yield from check_vpc(deployment, service) if aws_usable else [skipped(subject, _NEEDS_AWS)]
    if network is None:
        return
    nodes = [*peers(network, deployment), *orderers(network, deployment)]
    yield from check_duplicates(nodes)
    if deployment.connect and roots:
        yield from _connections(deployment, network, identities)
        return
    yield from check_names(nodes, needed=deployment.connect)
    if deployment.connect:
        yield skipped("--connect", "no node is reached without TLS roots")


def _users(deployment: Deployment, aws_usable: bool) -> Generator[Finding, None, dict[str, Identity]]:
    """Returns the identities that can sign."""
    identities: dict[str, Identity] = {}
    for user, secrets in deployment.users.items():
        if not aws_usable:
            yield skipped(f"offchain.users {user}", _NEEDS_AWS)
            continue
        findings, identity = check_user(
            secrets,
            deployment.msp_id,
            secrets_key=deployment.keys.get("offchain.secretsKeyArn"),
            connect=deployment.connect,
        )
        yield from findings
        if identity:
            identities[user] = identity
    return identities


def _tls_roots(deployment: Deployment, aws_usable: bool) -> Generator[Finding, None, str]:
    """Returns their PEM text, empty where there is none."""
    subject, roots = deployment.settings["tlsRoots"], deployment.network["tlsRoots"]
    if roots.startswith("s3://") and not aws_usable:
        yield skipped(subject, f"TLS roots {_NEEDS_AWS}")
        return ""
    try:
        pem, findings = read_tls_roots(subject, roots)
        yield from [*findings, *check_tls_roots(subject, pem)]
    except Mistake as mistake:
        yield mistake.finding
        return ""
    return pem


def _network(
    deployment: Deployment, roots: str, aws_usable: bool
) -> Generator[Finding, None, tuple[Network | None, str | None]]:
    """Returns the network with these TLS roots, None where its endpoints are not known; and the name of the service
    that a VPC endpoint to Managed Blockchain leads to, if it is there and known."""
    subject, service = "offchain.managedBlockchain", None
    found: Mapping[str, object] = {}
    if deployment.look_up:
        if not aws_usable:
            yield skipped(subject, f"endpoints {_NEEDS_AWS}")
            return None, None
        try:
            found, service = look_up(subject, deployment.look_up)
        except Mistake as mistake:
            yield mistake.finding
            return None, None
        yield ok(subject, "endpoints of network, member and nodes are found")
    network = Network.from_json(
        json.dumps({**deployment.network, **found, "tlsRoots": roots}), lambda _bucket, _key: roots
    )
    return network, service


def _connections(
    deployment: Deployment, network: Network, identities: Mapping[str, Identity]
) -> Generator[Finding, None, None]:
    if not identities:
        yield skipped("offchain.users", "no user's certificate and key can be shown to peers and orderers")
    views: list[PeerView] = []
    by_node = [
        check_peer(node, network, identities, deployment.record_types, views) for node in peers(network, deployment)
    ]
    by_node += [check_orderer(node, network, identities) for node in orderers(network, deployment)]
    with ThreadPoolExecutor() as pool:
        yield from itertools.chain.from_iterable(pool.map(list[Finding], by_node))
    if identities:
        yield from check_policy(network, views)
