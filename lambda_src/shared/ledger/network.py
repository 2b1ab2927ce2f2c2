"""The settings of the Fabric network that a deployment uses."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """`address` is `host:port`; `tls_hostname` is the name in the node's certificate where it is not the host; `msp_id`
    is a peer's organisation, if the settings say it."""

    address: str
    tls_hostname: str | None = None
    msp_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Network:
    """`tls_roots` is PEM text. All of `peers` are asked to endorse, and `endorsements` of them must agree. They must be
    of so many different `endorsing_organizations`, or of these by their MSP ids; by default of those that the
    chaincode's endorsement policy asks for."""

    channel: str
    chaincode: str
    peers: tuple[Endpoint, ...]
    orderers: tuple[Endpoint, ...]
    tls_roots: str
    endorsements: int = 1
    endorsing_organizations: int | tuple[str, ...] | None = None

    @classmethod
    def from_json(cls, text: str, fetch: Callable[[str, str], str]) -> "Network":
        """Read the JSON object that the deployment wrote:
        `{"channel", "chaincode", "peers": [{"endpoint", "tlsHostname"?, "mspId"?}], "orderers": [same], "tlsRoots",
        "endorsements", "endorsingOrganizations"?: number or MSP ids}`.

        `tlsRoots` is PEM text or `s3://bucket/key`, for which `fetch(bucket, key)` returns the text. Raises KeyError or
        ValueError where it is not such an object.
        """
        value: dict[str, Any] = json.loads(text)
        roots: str = value["tlsRoots"]
        if roots.startswith("s3://"):
            bucket, _, key = roots.removeprefix("s3://").partition("/")
            roots = fetch(bucket, key)
        network = cls(
            channel=value["channel"],
            chaincode=value["chaincode"],
            peers=tuple(_endpoint(peer) for peer in value["peers"]),
            orderers=tuple(_endpoint(orderer) for orderer in value["orderers"]),
            tls_roots=roots,
            endorsements=value.get("endorsements", 1),
            endorsing_organizations=_organizations(value.get("endorsingOrganizations")),
        )
        if not network.peers or not network.orderers:
            raise ValueError("FABRIC_NETWORK: peers and orderers need one entry each")
        if not 1 <= network.endorsements <= len(network.peers):
            raise ValueError("FABRIC_NETWORK: endorsements must be between 1 and the number of peers")
        asked = network.endorsing_organizations
        if asked is not None and not 1 <= (asked if isinstance(asked, int) else len(asked)) <= len(network.peers):
            raise ValueError("FABRIC_NETWORK: endorsingOrganizations must be between 1 and the number of peers")
        return network


def _endpoint(value: dict[str, str]) -> Endpoint:
    return Endpoint(address=value["endpoint"], tls_hostname=value.get("tlsHostname"), msp_id=value.get("mspId"))


def _organizations(value: Any) -> int | tuple[str, ...] | None:
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long each step may take, in seconds; the caller's deadline bounds all of them."""

    connect: float = 2.0
    """A connection, its TLS handshake included."""
    idle: float = 30.0
    """A connection or event stream unused for longer is made anew before it is relied on: a frozen Lambda environment
    or a load balancer may have lost it without notice."""
    endorse: float = 10.0
    """An endorsement, however slow the chaincode."""
    agreement: float = 0.25
    """How much longer to wait for the other peers once enough have endorsed, so that their results are compared."""
    discovery: float = 2.0
    """How long a peer's word on the endorsement policy is awaited, beside the endorsements."""
    discovery_age: float = 300.0
    """How old that word may be when it is relied on."""
    discovery_retry: float = 10.0
    """Before peers that could not tell the policy, or told one that is not met, are asked again."""
    silence: float = 2.0
    """Chaincode silent for so long: the record is read meanwhile, since some shims never answer for a refusal."""
    evaluate: float = 3.0
    """A query at one peer before the next one is asked."""
    broadcast: float = 3.0
    """An orderer's answer."""
    order: float = 6.0
    """How long orderers that surely did not take the envelope are offered it again, such as during an election."""
    commit_reserve: float = 1.5
    """Nothing is ordered with less than this left to the deadline: the verdict could not be awaited."""
    poll: float = 1.0
    """How often the ledger is asked for a verdict while no commit event comes."""
    offer_again: float = 4.0
    """An accepted envelope without verdict for so long is offered again: an orderer that dies may lose what it took."""
    conflict_pause: float = 0.05
    """Before a new transaction after a conflict, so that peers have applied the block that caused it."""
