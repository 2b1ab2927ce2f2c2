"""Which organisations endorse what is ordered, on a channel of three with two peers each."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hfc.protos.msp import identities_pb2
from shared import errors
from shared.ledger.client import FabricLedger
from shared.ledger.network import Endpoint, Timing

from sandbox.fabric import FabricEmulation
from sandbox.fabric.policy import Definition, parse
from tests.unit.fabric_fixtures import BATCH_TIMEOUT, Donor, Fabric, client_identity
from tests.unit.signals import Signals

MAJORITY = "OutOf(2, 'Org1MSP.peer', 'Org2MSP.peer', 'Org3MSP.peer')"
BOTH = "AND('Org1MSP.peer', 'Org2MSP.peer')"
EITHER = "OR('Org1MSP.peer', 'Org2MSP.peer')"
ORG1_AND_ANOTHER = "AND('Org1MSP.peer', OR('Org2MSP.peer', 'Org3MSP.peer'))"
ONE_OF_ORG1 = "OutOf(1, 'Org1MSP.peer')"
TWO_OF_ORG1 = "AND('Org1MSP.peer', 'Org1MSP.member')"
STEADY = replace(Timing(), endorse=4.0, discovery=4.0, commit_reserve=0.5, discovery_retry=0.1)
"""As it is deployed, but for what a test would have to wait for, and for a busy machine."""
UNTOLD_TIMING = replace(STEADY, discovery=0.3)
"""If no answer is expected."""


class Channel(Fabric):
    """A Fabric whose peers are told apart by their organisations, numbered from 1."""

    def peers_of(self, *organizations: int) -> list[Any]:
        return [self.emulation.peers[2 * (number - 1) + place] for number in organizations for place in (0, 1)]

    def ledger(self, *, timing: Timing = STEADY, **arguments: Any) -> FabricLedger:
        """See `Fabric.ledger`."""
        return super().ledger(timing=timing, **arguments)

    def endpoints(self, *organizations: int, msp_id: str | None = None) -> tuple[Endpoint, ...]:
        """Where their peers are, with what the settings say of their organisation."""
        return tuple(
            Endpoint(address=peer.endpoint, tls_hostname="localhost", msp_id=msp_id)
            for peer in self.peers_of(*organizations)
        )

    def ledger_of(self, *organizations: int, **arguments: Any) -> FabricLedger:
        """A new client that knows the peers of these organisations only."""
        return self.ledger(**{"peers": self.endpoints(*organizations), **arguments})

    def endorsers(self, transaction_id: str) -> set[str]:
        """The organisations that endorsed a transaction on the ledger."""
        committed, place = self.emulation.peers[0].ledger.find(transaction_id)
        endorsements = committed.block.transactions[place].action_payload.action.endorsements
        return {identities_pb2.SerializedIdentity.FromString(each.endorser).mspid for each in endorsements}

    def settled(self) -> Counter[str]:
        """How many transactions of the channel there are of each code."""
        newest = max(self.emulation.peers, key=lambda peer: peer.height)
        return Counter(each.validation_code for each in self.emulation.transactions(peer=newest.index))

    def refuses(self, ledger: FabricLedger, *, within: float = 8.0) -> None:
        """Assert that nothing is ordered, and that it is said so."""
        height, donor = self.emulation.height, Donor()
        with pytest.raises(errors.LedgerUnavailable):
            self.submit(ledger, donor.request(), within=within)
        assert self.emulation.height == height

    def commits(self, ledger: FabricLedger, times: int = 3) -> None:
        """Assert that submissions succeed one after the other, and that nothing else was ordered."""
        before = self.settled()
        for _ in range(times):
            self.submit(ledger, Donor().request(), within=20.0)
        assert self.settled() - before == {"VALID": times}


@pytest.fixture(scope="module")
def channel_of_module() -> Iterator[Channel]:
    with FabricEmulation(
        peers=2,
        other_organizations=("Org2MSP", "Org3MSP"),
        batch_timeout=BATCH_TIMEOUT,
        execute_timeout=5.0,
    ) as emulation:
        yield Channel(emulation, client_identity(emulation))


@pytest.fixture
def channel(channel_of_module: Channel) -> Iterator[Channel]:
    emulation = channel_of_module.emulation

    def restore() -> None:
        channel_of_module.restore()
        emulation.change_policy(MAJORITY)
        emulation.gossip.anchor_peers, emulation.gossip.alive_expiration = True, 0.0

    restore()
    yield channel_of_module
    restore()


def away(fault: str) -> Callable[[Sequence[Any]], None]:
    def take(peers: Sequence[Any]) -> None:
        for peer in peers:
            getattr(peer, fault)()

    return take


# Every combination is run by test-long.
LONG = pytest.mark.long
AWAY = pytest.mark.parametrize(
    "take_away", [away("kill"), pytest.param(away("freeze"), marks=LONG)], ids=["killed", "frozen"]
)
WARM = pytest.mark.parametrize("is_warm", [False, pytest.param(True, marks=LONG)], ids=["cold", "warm"])
NOTICED = pytest.mark.parametrize("noticed", [False, pytest.param(True, marks=LONG)], ids=["unnoticed", "noticed"])


def warm(channel: Channel, ledger: FabricLedger, is_warm: bool) -> FabricLedger:
    if is_warm:
        channel.commits(ledger, times=1)
    return ledger


def distant(channel: Channel, seconds: float) -> None:
    for peer in channel.peers_of(2):
        peer.delay = seconds


def busy(channel: Channel, seconds: float) -> None:
    for peer in channel.peers_of(2):
        channel.emulation.faults.place("before-endorsement", "hang", node=peer.index, times=None, hold=seconds)


@pytest.mark.parametrize(
    ("slow_down", "seconds"),
    [
        pytest.param(distant, 0.03, marks=LONG),
        (distant, 0.25),
        pytest.param(busy, 0.03, marks=LONG),
        pytest.param(busy, 0.25, marks=LONG),
        (busy, 2.0),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
@pytest.mark.parametrize("is_known", [True, False], ids=["policy known", "policy unknown"])
def test_a_slow_organization_is_waited_for_if_its_endorsement_is_needed(
    channel: Channel, slow_down: Callable[..., None], seconds: float, is_known: bool
) -> None:
    channel.emulation.change_policy(BOTH)
    channel.emulation.gossip.anchor_peers = is_known
    ledger = channel.ledger_of(1, 2)
    channel.commits(ledger, times=1)
    slow_down(channel, seconds)
    channel.commits(ledger, times=2 if seconds > 1 else 5)


@pytest.mark.parametrize("policy", [ORG1_AND_ANOTHER, pytest.param(MAJORITY, marks=LONG)])
def test_organizations_that_take_turns_to_be_slow(channel: Channel, policy: str) -> None:
    channel.emulation.change_policy(policy)
    ledger = channel.ledger()
    for slow in (2, 3, 2):
        for peer in channel.emulation.peers:
            peer.delay = 0.3 if peer in channel.peers_of(slow) else 0.0
        channel.commits(ledger, times=1)


def test_peers_of_one_organization_are_no_substitute_for_another(channel: Channel) -> None:
    """Both peers of Org1 endorse at once, as many as the deployment asks for, long before any of Org2."""
    channel.emulation.change_policy(BOTH)
    ledger = channel.ledger_of(1, 2, endorsements=2)
    for peer in channel.peers_of(2):
        peer.delay = 0.3
    channel.commits(ledger)


def test_a_policy_that_needs_both_peers_of_one_organization(channel: Channel) -> None:
    channel.emulation.change_policy(TWO_OF_ORG1)
    ledger = channel.ledger_of(1)
    channel.emulation.peers[1].delay = 0.3
    channel.commits(ledger)
    channel.emulation.peers[1].kill()
    channel.refuses(ledger)


@AWAY
@WARM
@NOTICED
def test_nothing_is_ordered_without_an_organization_that_the_policy_needs(
    channel: Channel, take_away: Any, is_warm: bool, noticed: bool
) -> None:
    channel.emulation.change_policy(BOTH)
    channel.emulation.gossip.alive_expiration = 0.0 if noticed else 60.0
    ledger = warm(channel, channel.ledger_of(1, 2), is_warm)
    take_away(channel.peers_of(2))
    channel.refuses(ledger)
    channel.refuses(ledger)
    for peer in channel.peers_of(2):
        peer.thaw()
        peer.start()
    channel.commits(ledger, times=1)


@AWAY
@WARM
@NOTICED
@pytest.mark.parametrize(
    ("policy", "gone"), [(MAJORITY, 1), (MAJORITY, 2), (MAJORITY, 3), (EITHER, 1), (EITHER, 2), (ORG1_AND_ANOTHER, 3)]
)
def test_an_organization_that_the_policy_can_do_without_is_away(
    channel: Channel, take_away: Any, is_warm: bool, noticed: bool, policy: str, gone: int
) -> None:
    channel.emulation.change_policy(policy)
    channel.emulation.gossip.alive_expiration = 0.0 if noticed else 60.0
    ledger = warm(channel, channel.ledger(), is_warm)
    take_away(channel.peers_of(gone))
    channel.commits(ledger, times=2)


def test_other_organizations_are_away_than_when_the_policy_was_asked_for(channel: Channel) -> None:
    """A peer names only organisations that it takes for alive: what it said before is doubted before it is held to."""
    ledger = channel.ledger()
    away("kill")(channel.peers_of(3))
    channel.commits(ledger, times=1)
    for peer in channel.peers_of(3):
        peer.start()
    away("kill")(channel.peers_of(2))
    for _ in range(20):
        try:
            channel.submit(ledger, Donor().request())
            return
        except errors.LedgerUnavailable:
            continue
    pytest.fail("never asked again")


def test_the_policy_becomes_stricter(channel: Channel) -> None:
    channel.emulation.change_policy(EITHER)
    ledger = channel.ledger_of(1, 2)
    channel.commits(ledger, times=1)
    channel.emulation.change_policy(BOTH)
    busy(channel, 0.3)
    with pytest.raises(errors.TransactionInvalid):
        channel.submit(ledger, Donor().request())
    channel.commits(ledger)


def test_a_peer_that_has_not_heard_of_a_stricter_policy_does_not_loosen_it(channel: Channel) -> None:
    channel.emulation.change_policy(BOTH)
    channel.emulation.peers[0].definition = Definition(parse(EITHER))
    ledger = channel.ledger_of(1, 2)
    channel.commits(ledger, times=1)
    for peer in channel.peers_of(2):
        peer.delay = 0.3
    channel.commits(ledger)


def test_peers_that_know_only_their_own_organization_do_not_ask_for_both(channel: Channel) -> None:
    """Without anchor peers each names only its own organisation as enough, and both are right."""
    channel.emulation.change_policy(EITHER)
    unlink(channel)
    ledger = channel.ledger_of(1, 2)
    channel.commits(ledger, times=1)
    away("freeze")(channel.peers_of(2))
    channel.commits(ledger, times=2)


def test_what_the_ledger_refused_is_not_ordered_again(channel: Channel) -> None:
    """No peer tells that both of Org1 are needed: the first transaction shows it."""
    channel.emulation.change_policy(TWO_OF_ORG1)
    switch_off(channel)
    ledger = channel.ledger_of(1)
    channel.commits(ledger, times=1)
    channel.emulation.peers[1].kill()
    with pytest.raises(errors.TransactionInvalid):
        channel.submit(ledger, Donor().request())
    channel.refuses(ledger)
    channel.refuses(ledger)
    channel.emulation.peers[1].start()
    channel.commits(ledger, times=1)


@pytest.mark.parametrize("linked", [True, False])
def test_no_peer_of_a_needed_organization_is_configured(channel: Channel, linked: bool, signals: Signals) -> None:
    """Without anchor peers the peers of Org1 do not know those of Org2, and only say that they are not enough."""
    channel.emulation.change_policy(BOTH)
    channel.emulation.gossip.anchor_peers = linked
    ledger = channel.ledger_of(1)
    channel.refuses(ledger)
    channel.refuses(ledger)
    told = [line for line in signals.log if line["message"].startswith("The endorsement policy cannot be met")]
    assert [line["organizations"] for line in told] == [["Org2MSP"]] * (2 * linked)
    lacking = [line["lacking"] for line in signals.log if line["message"] == "Not endorsed"]
    assert [each["endorsed"] for each in lacking] == [{"Org1MSP": 2}] * 2
    assert [bool(each["insufficient"]) for each in lacking] == [not linked] * 2
    untold = [line for line in signals.log if line["message"] == "A peer cannot tell the endorsement policy"]
    assert len(untold) == (0 if linked else 2)


# The service discovery


def switch_off(channel: Channel) -> None:
    for peer in channel.emulation.peers:
        peer.discovers = False


def fail(action: Any) -> Callable[[Channel], None]:
    return lambda channel: channel.emulation.faults.place("discovery", action, times=None) and None


def unlink(channel: Channel) -> None:
    channel.emulation.gossip.anchor_peers = False


UNTOLD = pytest.mark.parametrize(
    "spoil",
    [switch_off, fail("refuse"), fail("reset"), fail("hang"), fail(403), unlink],
    ids=["switched off", "unavailable", "torn", "silent", "denied", "no anchor peers"],
)


@UNTOLD
def test_all_organizations_endorse_if_no_peer_tells_the_policy(channel: Channel, spoil: Callable[..., None]) -> None:
    channel.emulation.change_policy(BOTH)
    spoil(channel)
    ledger = channel.ledger_of(1, 2, timing=UNTOLD_TIMING)
    for peer in channel.peers_of(2):
        peer.delay = 0.1
    channel.commits(ledger)
    away("kill")(channel.peers_of(2))
    channel.refuses(ledger)


@UNTOLD
@AWAY
def test_a_peer_that_was_never_heard_of_counts_as_an_organization(
    channel: Channel, spoil: Callable[..., None], take_away: Any
) -> None:
    channel.emulation.change_policy(BOTH)
    spoil(channel)
    take_away(channel.peers_of(2))
    channel.refuses(channel.ledger_of(1, 2, timing=UNTOLD_TIMING))


@pytest.mark.parametrize("spoil", [switch_off, fail("hang"), fail(403)], ids=["switched off", "silent", "denied"])
@AWAY
@WARM
def test_a_peer_of_the_same_organization_is_not_missed(
    channel: Channel, spoil: Callable[..., None], take_away: Any, is_warm: bool
) -> None:
    """Its organisation is known since it endorsed, or the settings tell it."""
    channel.emulation.change_policy(ONE_OF_ORG1)
    spoil(channel)
    told = None if is_warm else "Org1MSP"
    ledger = warm(channel, channel.ledger(peers=channel.endpoints(1, msp_id=told), timing=UNTOLD_TIMING), is_warm)
    take_away(channel.peers_of(1)[:1])
    channel.commits(ledger, times=2)


def test_a_dead_organization_is_known_by_the_settings(channel: Channel) -> None:
    switch_off(channel)
    channel.emulation.change_policy(BOTH)
    away("kill")(channel.peers_of(2)[:1])
    peers = (*channel.endpoints(1), *channel.endpoints(2, msp_id="Org2MSP"))
    channel.commits(channel.ledger(peers=peers), times=1)
    away("kill")(channel.peers_of(2)[1:])
    channel.refuses(channel.ledger(peers=peers))


def test_the_policy_is_asked_for_once_and_not_for_each_request(channel: Channel) -> None:
    asked = channel.emulation.faults.place("discovery", lambda: None, times=None)
    ledger = channel.ledger()
    channel.commits(ledger, times=8)
    assert asked.met == len(channel.emulation.peers)


def test_the_policy_is_asked_for_again_when_it_is_old(channel: Channel) -> None:
    asked = channel.emulation.faults.place("discovery", lambda: None, times=None)
    ledger = channel.ledger(timing=replace(STEADY, discovery_age=-1.0))
    channel.commits(ledger, times=3)
    assert asked.met == 3 * len(channel.emulation.peers)


def test_an_old_policy_holds_while_no_peer_tells_a_new_one(channel: Channel) -> None:
    ledger = channel.ledger(timing=replace(STEADY, discovery_age=-1.0))
    channel.commits(ledger, times=1)
    switch_off(channel)
    away("kill")(channel.peers_of(3))
    channel.commits(ledger, times=2)


# The setting


@pytest.mark.parametrize("setting", [2, ("Org1MSP", "Org2MSP")])
@pytest.mark.parametrize("told", [True, False], ids=["discovery", "no discovery"])
def test_the_setting_says_which_organizations_endorse(channel: Channel, setting: Any, told: bool) -> None:
    channel.emulation.change_policy(EITHER)
    if not told:
        switch_off(channel)
    ledger = channel.ledger_of(1, 2, endorsing_organizations=setting)
    for peer in channel.peers_of(2):
        peer.delay = 0.2
    channel.commits(ledger)
    for transaction in list(channel.emulation.transactions())[-3:]:
        assert channel.endorsers(transaction.tx_id) >= {"Org1MSP", "Org2MSP"}
    away("kill")(channel.peers_of(2))
    channel.refuses(ledger)


def test_the_setting_can_ask_for_less_than_all_organizations(channel: Channel) -> None:
    switch_off(channel)
    ledger = channel.ledger(endorsing_organizations=2)
    away("kill")(channel.peers_of(3))
    channel.commits(ledger, times=2)


def test_a_number_of_organizations_is_not_met_by_peers_of_one(channel: Channel) -> None:
    channel.refuses(channel.ledger_of(1, endorsing_organizations=2))


def test_with_the_setting_nothing_is_asked(channel: Channel) -> None:
    asked = channel.emulation.faults.place("discovery", lambda: None, times=None)
    channel.commits(channel.ledger(endorsing_organizations=3))
    assert asked.met == 0


def test_one_peer_under_two_addresses_is_one_endorsement(channel: Channel) -> None:
    channel.emulation.change_policy(TWO_OF_ORG1)
    (first, _) = channel.endpoints(1)
    again = replace(first, address=first.address.replace("127.0.0.1", "localhost"))
    channel.refuses(channel.ledger(peers=(first, again)))
    channel.emulation.change_policy(ONE_OF_ORG1)
    channel.refuses(channel.ledger(peers=(first, again), endorsements=2))


# Load


def test_nothing_invalid_is_ordered_while_organizations_come_and_go(channel: Channel) -> None:
    """Eight requests at a time; the organisations are slow, frozen and killed in turn, so that each can be needed."""
    ledger, stop = channel.ledger(), threading.Event()
    before, told = channel.settled(), Counter[str]()

    def submit() -> None:
        while not stop.is_set():
            try:
                channel.submit(ledger, Donor().request(), within=4.0)
                told["Committed"] += 1
            except errors.OffchainError as error:
                told[type(error).__name__] += 1

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for number in (2, 3, 1):
            some = channel.peers_of(number)
            for peer in some:
                peer.delay = 0.2
            for action in ("freeze", "thaw", "kill", "start"):
                committed = told["Committed"]
                for peer in some:
                    getattr(peer, action)()
                _until(lambda committed=committed: told["Committed"] >= committed + 8)
            for peer in some:
                peer.delay = 0.0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    settled = channel.settled() - before
    # An envelope is offered again if its verdict is late, and then is there twice.
    assert set(settled) <= {"VALID", "DUPLICATE_TXID"}, settled
    assert set(told) <= {"Committed", "LedgerUnavailable", "OutcomeUnknown"}, told


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)
