"""What is enough, by what each peer says of the endorsement policy."""

import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from shared.ledger import discovery, messages
from shared.ledger.discovery import ChannelPolicy
from shared.ledger.messages import Discovered
from shared.ledger.network import Endpoint, Network, Timing
from shared.ledger.transport import CallFailed, Connection

Answers = Sequence[Discovered | None]
"""What each peer says, None if it does not answer."""


def counted(letters: str) -> Counter[str]:
    """ "AAB": two peers of organisation A, and one of B."""
    return Counter(letters)


def says(layouts: str, members: str) -> Discovered:
    """Layouts and members as letters, the layouts separated by spaces."""
    return Discovered(
        layouts=tuple(map(counted, layouts.split())), members=counted(members), refusal="" if layouts else "none"
    )


class Peer:
    """Stands for a connection: answers what it is told to."""

    def __init__(self, found: Discovered | None) -> None:
        self.address = "peer"
        self._found = found

    def start(self, method: str, request: bytes, timeout: float, finish: Callable[[Any], None]) -> None:
        assert method == messages.DISCOVER
        if self._found is not None:
            finish(self._found)

    def renew(self) -> None:
        pass


def policy_of(monkeypatch: pytest.MonkeyPatch, answers: Answers, configured: str = "AB") -> ChannelPolicy:
    """The policy after all `answers`, for a network with a peer of each organisation that is `configured`."""
    peers = iter([Peer(found) for found in answers])
    network = Network(
        channel="mychannel",
        chaincode="ngo",
        peers=tuple(Endpoint(address="peer") for _ in answers),
        orderers=(),
        tls_roots="",
    )
    monkeypatch.setattr(discovery, "Connection", lambda *_: next(peers))
    monkeypatch.setattr(messages, "discover", lambda *_: b"")
    monkeypatch.setattr(messages, "read_discovered", lambda found: found)
    timing = Timing(discovery=0.0)
    made = ChannelPolicy(network, [_known(organization) for organization in configured], timing)
    made.ask(None, lambda: None)  # type: ignore[arg-type]  # nothing is signed here
    return made


def _known(organization: str) -> Connection:
    return Connection(Endpoint(address="peer", msp_id=organization), "", Timing())


BOTH, EITHER, MAJORITY = says("AB", "AABB"), says("A B", "AABB"), says("AB AC BC", "AABBCC")
UNTOLD = Discovered(refusal="access denied")


@pytest.mark.parametrize(
    ("answers", "enough", "not_enough"),
    [
        ([BOTH], ["AB", "AAB"], ["A", "AA", "B", "AC"]),
        ([EITHER], ["A", "B", "AB"], ["C"]),
        ([MAJORITY], ["AB", "AC", "BC", "ABC"], ["A", "AA", "CC"]),
        ([says("AAB", "AABB")], ["AAB", "AABB"], ["AB", "ABB", "AA"]),
        ([BOTH, None], ["AB"], ["A"]),
        ([BOTH, UNTOLD, says("", "")], ["AB"], ["A"]),
        # One peer is behind with its blocks, and tells an older policy.
        ([EITHER, BOTH], ["AB"], ["A", "B"]),
        ([BOTH, EITHER], ["AB"], ["A", "B"]),
        # Each knows its own organisation only.
        ([says("A", "AA"), says("B", "BB")], ["A", "B", "AB"], ["C"]),
        ([says("A", "AA"), BOTH], ["AB"], ["A", "B"]),
        # One takes C for dead, which endorsed.
        ([says("AB", "AABB"), MAJORITY], ["AB", "AC", "BC"], ["A", "C"]),
        # None knows enough peers; then all that are configured have to endorse.
        ([says("", "AA"), says("", "BB")], ["AB"], ["A", "AA", "B"]),
        ([says("", "AABB")], ["AAAB", "ABC"], ["AB", "AABB", "A"]),
        ([says("", "AA"), None], ["AB"], ["A", "B"]),
        ([UNTOLD], ["AB"], ["A", "B", "AA"]),
        ([None], ["AB"], ["A", "B"]),
    ],
)
def test_what_is_enough(
    monkeypatch: pytest.MonkeyPatch, answers: Answers, enough: list[str], not_enough: list[str]
) -> None:
    policy = policy_of(monkeypatch, answers)
    for endorsers in enough:
        assert policy.is_met_by(counted(endorsers)), endorsers
    for endorsers in not_enough:
        assert not policy.is_met_by(counted(endorsers)), endorsers


def test_a_policy_of_more_combinations_than_fabric_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer then says no more than if it knew too few peers."""
    for organizations, is_enough in ((string.ascii_uppercase[:15], False), (string.ascii_uppercase[:16], True)):
        policy = policy_of(monkeypatch, [says("", organizations)], configured=organizations)
        assert policy.is_met_by(counted(organizations)) is is_enough


def test_what_was_refused_is_not_enough_while_no_peer_tells_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = policy_of(monkeypatch, [UNTOLD])
    policy.forget(counted("AABB"))
    assert not policy.is_met_by(counted("AB"))
    assert not policy.is_met_by(counted("AABB"))
    assert policy.is_met_by(counted("AAABB"))
    assert policy.describe()["insufficient"] == [{"A": 2, "B": 2}]


def test_what_was_refused_is_enough_if_the_policy_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be a key that has a policy of its own."""
    policy = policy_of(monkeypatch, [BOTH])
    policy.forget(counted("AB"))
    policy.ask(None, lambda: None)  # type: ignore[arg-type]
    assert policy.is_met_by(counted("AB"))


def test_an_answer_that_failed_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: Any = CallFailed("peer", "UNIMPLEMENTED", "unknown service discovery.Discovery", unsent=False)
    policy = policy_of(monkeypatch, [failed])
    assert policy.is_met_by(counted("AB"))
    assert not policy.is_met_by(counted("A"))


def test_organizations_that_are_not_configured_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert policy_of(monkeypatch, [BOTH], "A").describe()["notConfigured"] == ["B"]
    assert policy_of(monkeypatch, [MAJORITY], "A").describe()["notConfigured"] == ["B", "C"]
    assert policy_of(monkeypatch, [EITHER], "A").describe()["notConfigured"] == []
    assert policy_of(monkeypatch, [UNTOLD], "A").describe()["notConfigured"] == []
