"""Holds the settings against the chaincode's endorsement policy, as the peers tell it."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.ledger.messages import Discovered
from shared.ledger.network import Network
from shared.ledger.policy import ConfiguredPolicy, Organizations, covers, meets

from .endpoints import Node
from .finding import Finding, error, ok, quoted, skipped, warning

SETTING = "offchain.endorsingOrganizations"
_PEERS = "Add a peer of each to the peers of the settings or of the connection profile."
_MOST = 5
"""Ways to meet a policy that are written out."""


@dataclass(frozen=True, kw_only=True)
class PeerView:
    """What a peer that was reached showed: the organisation that it is of, and what it tells about the chaincode."""

    node: Node
    msp_id: str
    discovered: Discovered


def check_policy(network: Network, views: Sequence[PeerView]) -> Iterator[Finding]:
    """Whether the peers can meet the policy, and the setting fits it."""
    views = sorted(views, key=lambda view: network.peers.index(view.node.endpoint))
    for view in views:
        said = view.node.endpoint.msp_id
        if said not in (None, view.msp_id):
            what = f"is of {view.msp_id}, and not of {said}"
            yield error(view.node.subject, what, f"Write {view.msp_id} as its organisation, or leave it out.")
    if len({view.node.endpoint for view in views}) < len(set(network.peers)):
        yield skipped(SETTING, "not held against the chaincode's policy, for not all peers are reached")
        return
    there = [view.msp_id for view in views]
    told = [view.discovered.layouts for view in views if view.discovered.layouts]
    if not told:
        yield _untold(network, views)
        return
    layouts = max(told, key=len)
    if not all(meets(Counter(there), each) for each in told):
        yield _cannot_be_met(layouts, Counter(there))
        return
    yield ok(SETTING, f"the chaincode's endorsement policy is met by {_written(layouts)}, and there are such peers")
    if network.endorsing_organizations is not None:
        yield _compare(network, there, layouts)


def _untold(network: Network, views: Sequence[PeerView]) -> Finding:
    known = [view.discovered.members for view in views if view.discovered.members]
    words = quoted(views[0].discovered.refusal)
    there = Counter(view.msp_id for view in views)
    if any(covers(members, there) for members in known):
        what = (
            f"of {_organizations(known[0])}, and with them the chaincode's endorsement policy cannot be met ({words})"
        )
        return error(SETTING, f"the peers know only live peers {what}", _PEERS)
    what = f"no peer tells the chaincode's endorsement policy ({words})"
    if network.endorsing_organizations is not None:
        asked = ConfiguredPolicy(organizations=network.endorsing_organizations)
        for some in _just_enough(asked, [view.msp_id for view in views], network.endorsements):
            if any(covers(members, some) for members in known):
                return _too_little(some, f"as the peers say ({words})")
        return skipped(SETTING, f"not held against the policy, for {what}")
    names = _listed(sorted(there))
    if len(there) == 1:
        return skipped(SETTING, f"{what}, and a peer of {names} has to endorse")
    return warning(
        SETTING,
        f"{what}, so that peers of {names} have to endorse, all of them",
        "Turn service discovery on at the peers and name anchor peers on the channel, or say here who must endorse.",
    )


def _cannot_be_met(layouts: Sequence[Organizations], there: Organizations) -> Finding:
    missing = sorted({msp_id for layout in layouts for msp_id in layout if not covers(there, {msp_id: layout[msp_id]})})
    return error(
        SETTING,
        f"the chaincode's endorsement policy is met by {_written(layouts)}, and the peers are {_organizations(there)}, "
        f"so that nothing can be ordered. What is missing: {_listed(missing)}",
        _PEERS,
    )


def _compare(network: Network, there: Sequence[str], layouts: Sequence[Organizations]) -> Finding:
    asked = ConfiguredPolicy(organizations=network.endorsing_organizations or 1)
    if not asked.is_met_by(Counter(there)):
        return error(SETTING, f"the peers are {_organizations(Counter(there))}, which is not enough for it", _PEERS)
    too_few = next(
        (each for each in _just_enough(asked, there, network.endorsements) if not meets(each, layouts)), None
    )
    if too_few is not None:
        return _too_little(too_few, f"which is met by {_written(layouts)}")
    if all(asked.is_met_by(layout) for layout in layouts):
        return ok(SETTING, "asks for what the chaincode's endorsement policy asks for")
    return warning(
        SETTING,
        f"asks for more than the chaincode's endorsement policy, which is met by {_written(layouts)}",
        "Requests fail while one that it asks for is away. Leave it out if that is not meant.",
    )


def _too_little(some: Organizations, policy: str) -> Finding:
    return error(
        SETTING,
        f"asks for less than the chaincode's endorsement policy: {_organizations(some)} would be enough for it, and "
        f"the transaction invalid by the policy, {policy}",
        "Leave it out, so that the policy is followed, or ask for more.",
    )


def _just_enough(asked: ConfiguredPolicy, there: Sequence[str], peers: int) -> Iterator[Organizations]:
    """The sets of endorsing peers that the setting would do with, without those that it can do without."""
    named = asked.organizations if isinstance(asked.organizations, int) else len(asked.organizations)
    for some in itertools.combinations(there, max(named, peers)):
        if asked.is_met_by(Counter(some)):
            yield Counter(some)


def _written(layouts: Sequence[Organizations]) -> str:
    written = list(dict.fromkeys(map(_organizations, layouts)))
    more = [f"{len(written) - _MOST} other ways"] if len(written) > _MOST else []
    return ", or by ".join([*written[:_MOST], *more])


def _organizations(numbers: Organizations) -> str:
    return _listed([f"{number} of {msp_id}" for msp_id, number in sorted(numbers.items())])


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
