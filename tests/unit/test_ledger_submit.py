"""What a submission becomes where all nodes are up: success, refusal, conflict, repetition."""

import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from shared import errors, submission
from shared.ledger import messages
from shared.ledger.client import FabricLedger
from shared.ledger.interface import Call, Committed, Submit
from shared.ledger.network import Timing

from tests.unit.fabric_fixtures import TIMING, Donor, Fabric, client_identity, fabric, fabric_of_module

__all__ = ["fabric", "fabric_of_module"]

ENCRYPTED_KEY = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    .decode()
)
OTHER_KEY = (
    ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
)


def test_success_is_the_ledgers_verdict(fabric: Fabric) -> None:
    donor = Donor()
    committed = fabric.submit(fabric.ledger(), donor.request())
    assert committed == Committed(transaction_id=donor.ids(fabric.identity)[0])
    assert fabric.codes(committed.transaction_id) == ["VALID"]
    assert fabric.record(donor) == {**donor.fields, "docType": "donor"}


@pytest.mark.parametrize("name", ["Ünïcödé", "O'Brien", 'quote"back\\slash', "\U0001f600", "$#@@ {}", "日本"])
def test_text_arrives_as_sent(fabric: Fabric, name: str) -> None:
    donor = Donor(name=f"{name}-{Donor().name}")
    fabric.submit(fabric.ledger(), donor.request())
    stored = fabric.record(donor)
    assert stored is not None
    assert stored["donorUserName"] == donor.name


def test_the_chaincodes_result_is_returned(fabric: Fabric) -> None:
    donor = Donor()
    ledger = fabric.ledger()
    fabric.submit(ledger, donor.request())
    query = Call(function="queryDonor", arguments=(json.dumps({"donorUserName": donor.name}),))
    other = Donor()
    committed = fabric.submit(ledger, other.request(call=query, created_record=None))
    assert json.loads(committed.result)["donorUserName"] == donor.name


def test_a_donor_of_another_submission_is_refused_as_such(fabric: Fabric) -> None:
    ledger, first = fabric.ledger(), Donor()
    fabric.submit(ledger, first.request())
    second = Donor(name=first.name, image="second")
    with pytest.raises(errors.RecordAlreadyExists):
        fabric.submit(ledger, second.request())
    assert fabric.record(first) == {**first.fields, "docType": "donor"}


@pytest.mark.parametrize("shim", ["2.2.3", "2.4.2", "2.5.8"])
def test_already_exists_does_not_depend_on_the_shim(fabric: Fabric, shim: Any) -> None:
    ledger, first = fabric.ledger(), Donor()
    fabric.submit(ledger, first.request())
    for peer in fabric.emulation.peers:
        peer.shim = shim
    with pytest.raises(errors.RecordAlreadyExists):
        fabric.submit(ledger, Donor(name=first.name, image="second").request())


def test_the_same_record_under_another_transaction_is_success(fabric: Fabric) -> None:
    """The certificate, and with it every transaction id, changed after the first attempt's answer was lost."""
    ledger, donor = fabric.ledger(), Donor()
    first = fabric.submit(ledger, donor.request())
    renewed = client_identity(fabric.emulation, "lambdaUser-renewed")
    request = donor.request(first=False, earlier_transaction_ids=[first.transaction_id])
    assert fabric.submit(ledger, request, identity=renewed) == first
    assert len([t for t in fabric.emulation.transactions() if t.tx_id in donor.ids(renewed)]) == 0

    forgotten = fabric.submit(ledger, donor.request(), identity=renewed)
    assert forgotten.transaction_id is None


def test_a_record_without_the_optional_hash_is_ours(fabric: Fabric) -> None:
    ledger, donor = fabric.ledger(), Donor()
    older = {name: value for name, value in donor.fields.items() if name != "imageSha256"}
    call = Call(function="createDonor", arguments=(json.dumps(older),))
    committed = fabric.submit(ledger, donor.request(call=call))
    renewed = client_identity(fabric.emulation, "lambdaUser-renewed")
    again = donor.request(first=False, earlier_transaction_ids=[committed.transaction_id], nonces=())
    with pytest.raises(errors.IdempotencyKeyReused):
        fabric.submit(ledger, again, identity=renewed)
    assert fabric.submit(ledger, donor.request(), identity=renewed).transaction_id is None


@pytest.mark.parametrize("shim", ["2.2.3", "2.5.8"])
def test_a_refusal_without_a_record_is_the_chaincodes(fabric: Fabric, shim: Any) -> None:
    for peer in fabric.emulation.peers:
        peer.shim = shim
    donor = Donor()
    with pytest.raises(errors.ChaincodeRejected):
        fabric.submit(fabric.ledger(), donor.request(call=Call(function="createDonor", arguments=("no JSON",))))
    assert fabric.record(donor) is None


def test_a_refusal_is_not_certain_after_an_earlier_attempt(fabric: Fabric) -> None:
    donor = Donor()
    request = donor.request(first=False, call=Call(function="createDonor", arguments=("no JSON",)))
    with pytest.raises(errors.OutcomeUnknown) as raised:
        fabric.submit(fabric.ledger(), request)
    assert raised.value.transaction_id == donor.ids(fabric.identity)[0]


def test_an_unknown_function_is_bounded(fabric: Fabric) -> None:
    """The workshop's chaincode never answers for a function that it does not have."""
    donor = Donor()
    began = time.monotonic()
    with pytest.raises(errors.LedgerUnavailable):
        fabric.submit(fabric.ledger(), donor.request(call=Call(function="noSuch", arguments=("{}",))), within=2.0)
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("first", [True, False])
def test_the_same_submission_again_is_the_same_transaction(fabric: Fabric, first: bool) -> None:
    ledger, donor = fabric.ledger(), Donor()
    committed = fabric.submit(ledger, donor.request())
    assert fabric.submit(ledger, donor.request(first=first)) == committed
    assert fabric.codes(committed.transaction_id) == ["VALID"]


def test_the_same_submission_at_the_same_time_is_one_transaction(fabric: Fabric) -> None:
    ledger, donor = fabric.ledger(), Donor()
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(fabric.submit, ledger, donor.request(first=n == 0)) for n in range(4)]
        answers = {call.result() for call in calls}
    assert answers == {Committed(transaction_id=donor.ids(fabric.identity)[0])}
    assert fabric.codes(donor.ids(fabric.identity)[0]).count("VALID") == 1


@pytest.mark.parametrize("first", [True, False])
def test_a_key_used_with_another_content_is_refused(fabric: Fabric, first: bool) -> None:
    ledger, donor = fabric.ledger(), Donor()
    fabric.submit(ledger, donor.request())
    other = Donor(idempotency_key=donor.idempotency_key)
    with pytest.raises(errors.IdempotencyKeyReused):
        fabric.submit(ledger, other.request(first=first))
    assert fabric.record(other) is None


def test_a_key_used_with_another_content_at_the_same_time(fabric: Fabric) -> None:
    """Both are endorsed before either commits: the commit event of the id does not say whose content it has."""
    for _ in range(5):
        ledger = fabric.ledger()
        one = Donor()
        two = Donor(idempotency_key=one.idempotency_key)
        both_endorsed = threading.Barrier(2)
        fabric.emulation.faults.place(
            "before-broadcast", lambda barrier=both_endorsed: barrier.wait(2) and None, times=2
        )
        outcomes = _together(fabric, ledger, [one.request(), two.request()])
        winners = [donor for donor, outcome in zip((one, two), outcomes, strict=True) if isinstance(outcome, Committed)]
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Committed", "IdempotencyKeyReused"]
        assert [donor for donor in (one, two) if fabric.record(donor)] == winners


def test_two_creates_of_one_donor_at_the_same_time(fabric: Fabric) -> None:
    ledger, one = fabric.ledger(), Donor()
    two = Donor(name=one.name, image="second")
    both_endorsed = threading.Barrier(2)
    fabric.emulation.faults.place("before-broadcast", lambda: both_endorsed.wait(2) and None, times=2)
    outcomes = _together(fabric, ledger, [one.request(), two.request()])
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Committed", "RecordAlreadyExists"]
    winner = one if isinstance(outcomes[0], Committed) else two
    assert fabric.record(one) == {**winner.fields, "docType": "donor"}
    codes = [fabric.codes(donor.ids(fabric.identity)[0]) for donor in (one, two)]
    assert sorted(codes) == [["MVCC_READ_CONFLICT"], ["VALID"]]


def test_a_conflict_takes_the_next_nonce(fabric: Fabric) -> None:
    """A query of all donors as a transaction meets a phantom, then succeeds under the second id."""
    ledger, donor = fabric.ledger(), Donor()
    request = donor.request(call=Call(function="queryAllDonors", arguments=("{}",)), created_record=None)

    def change() -> None:
        fabric.submit(ledger, Donor().request())

    fabric.emulation.faults.place("before-broadcast", change, function="queryAllDonors")
    committed = fabric.submit(ledger, request)
    ids = donor.ids(fabric.identity)
    assert committed.transaction_id == ids[1]
    assert [fabric.codes(transaction_id) for transaction_id in ids] == [["PHANTOM_READ_CONFLICT"], ["VALID"], []]

    assert fabric.submit(ledger, donor.request(first=False, call=request.call)).transaction_id == ids[1]


def test_conflicts_are_bounded_by_the_nonces(fabric: Fabric) -> None:
    ledger, donor = fabric.ledger(), Donor()
    request = donor.request(call=Call(function="queryAllDonors", arguments=("{}",)), created_record=None)

    def change() -> None:
        fabric.submit(ledger, Donor().request())

    fabric.emulation.faults.place("before-broadcast", change, function="queryAllDonors", times=None)
    with pytest.raises(errors.TransactionInvalid):
        fabric.submit(ledger, request)
    assert [fabric.codes(t) for t in donor.ids(fabric.identity)] == [["PHANTOM_READ_CONFLICT"]] * 3

    with pytest.raises(errors.TransactionInvalid):
        fabric.submit(ledger, donor.request(first=False, call=request.call, created_record=None))


def test_sixteen_at_a_time_share_one_stream(fabric: Fabric) -> None:
    ledger = fabric.ledger(timing=Timing())  # so many at once take longer than the tests' own limits
    donors = [Donor() for _ in range(160)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda donor: fabric.submit(ledger, donor.request(), within=20), donors))
    assert [answer.transaction_id for answer in answers] == [donor.ids(fabric.identity)[0] for donor in donors]
    assert all(fabric.record(donor) for donor in donors)
    assert sum(peer.streams for peer in fabric.emulation.peers) == 1


def test_an_identity_that_the_channel_does_not_accept(fabric: Fabric) -> None:
    stranger = client_identity(fabric.emulation, "orderer-admin", msp_id="OrdererMSP", role="admin")
    with pytest.raises(errors.EndorsementFailed):
        fabric.submit(fabric.ledger(), Donor().request(), identity=stranger)
    with pytest.raises(errors.OutcomeUnknown):
        fabric.submit(fabric.ledger(), Donor().request(first=False), identity=stranger)


@pytest.mark.parametrize("key", ["", "no PEM", OTHER_KEY, ENCRYPTED_KEY])
def test_a_private_key_that_fabric_cannot_use(fabric: Fabric, key: str) -> None:
    ledger, unusable = fabric.ledger(), replace(fabric.identity, private_key=key)
    with pytest.raises(errors.EndorsementFailed):
        fabric.submit(ledger, Donor().request(), identity=unusable)
    with pytest.raises(errors.OutcomeUnknown):
        fabric.submit(ledger, Donor().request(first=False), identity=unusable)
    with pytest.raises(errors.EndorsementFailed):
        ledger.evaluate(unusable, Donor().request().call, deadline=time.monotonic() + 1)


def test_too_little_time_orders_nothing(fabric: Fabric) -> None:
    donor = Donor()
    with pytest.raises(errors.LedgerUnavailable):
        fabric.submit(fabric.ledger(), donor.request(), within=TIMING.commit_reserve / 2)
    assert fabric.codes(donor.ids(fabric.identity)[0]) == []


def _together(fabric: Fabric, ledger: FabricLedger, requests: list[Submit]) -> list[Any]:
    def outcome(request: Submit) -> Any:
        try:
            return fabric.submit(ledger, request)
        except errors.OffchainError as error:
            return error

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(outcome, requests))


def test_a_retired_id_can_no_longer_commit(fabric: Fabric) -> None:
    """An envelope that lay in an orderer comes after the id was used up."""
    ledger, donor = fabric.warm(), Donor()
    held = fabric.emulation.faults.place("before-broadcast", "hang", times=None, function="createDonor")
    with pytest.raises(errors.OutcomeUnknown):
        fabric.submit(ledger, donor.request(), within=0.6)
    own = donor.ids(fabric.identity)
    assert ledger.retire(fabric.identity, donor.nonces[0], "why", deadline=time.monotonic() + 2) is None
    assert fabric.codes(own[0]) == ["INVALID_CHAINCODE"]
    held.release()
    time.sleep(0.1)
    assert "VALID" not in fabric.codes(own[0])
    assert fabric.record(donor) is None

    again = fabric.submit(ledger, donor.request())
    assert again.transaction_id == own[1]
    assert fabric.submit(ledger, donor.request(first=False)) == again


def test_retiring_a_committed_id_tells_so(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()
    committed = fabric.submit(ledger, donor.request())
    found = ledger.retire(fabric.identity, donor.nonces[0], "why", deadline=time.monotonic() + 2)
    assert found is not None
    assert (found.transaction_id, found.code, found.function) == (committed.transaction_id, "VALID", "createDonor")


def test_whose_record_it_is(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()

    def has(who: Donor) -> bool:
        record = who.request().created_record
        assert record is not None
        return ledger.has_record(fabric.identity, record, deadline=time.monotonic() + 2)

    assert not has(donor)
    fabric.submit(ledger, donor.request())
    assert has(donor)
    assert not has(Donor(name=donor.name, image="second"))
    for peer in fabric.emulation.peers:
        peer.kill()
    with pytest.raises(errors.LedgerUnavailable):
        has(donor)


def test_an_id_that_is_invalid_and_then_valid_in_one_block_is_committed(fabric: Fabric) -> None:
    """Fabric counts only valid transactions as the first of their id within a block; qscc tells of the first entry."""
    ledger = fabric.warm()
    for _ in range(10):  # until both fall into one block
        donor = Donor()
        own = donor.ids(fabric.identity)[0]
        held = fabric.emulation.faults.place("before-broadcast", "hang", function="createDonor")
        fabric.emulation.faults.place("after-broadcast", held.release, function="offchain-stack:retired")
        with ThreadPoolExecutor(2) as pool:
            create = pool.submit(fabric.submit, ledger, donor.request())
            assert held.reached.wait(2)
            retired = pool.submit(ledger.retire, fabric.identity, donor.nonces[0], "", deadline=time.monotonic() + 2)
            committed, found = create.result(), retired.result()
        if fabric.codes(own)[:2] == ["INVALID_CHAINCODE", "VALID"]:
            break
    assert fabric.codes(own)[:2] == ["INVALID_CHAINCODE", "VALID"]
    assert committed == Committed(transaction_id=own)
    assert (found.transaction_id, found.code, found.function) == (own, "VALID", "createDonor")
    assert fabric.submit(ledger, donor.request(first=False)) == committed


def test_an_earlier_identitys_transaction_counts_without_a_record(fabric: Fabric) -> None:
    """Where no record can tell, only the ids of earlier attempts keep a call from being carried out twice."""
    ledger, donor = fabric.warm(), Donor()
    request = donor.request(call=Call(function="queryAllDonors", arguments=("{}",)), created_record=None)
    first = fabric.submit(ledger, request)
    renewed = client_identity(fabric.emulation, "lambdaUser-renewed")
    again = replace(request, first_attempt=False, earlier_transaction_ids=[first.transaction_id])
    assert fabric.submit(ledger, again, identity=renewed).transaction_id == first.transaction_id
    assert fabric.codes(donor.ids(renewed)[0]) == []


@pytest.mark.parametrize(("earlier", "error"), [([], errors.TransactionInvalid), (["ab" * 32], errors.OutcomeUnknown)])
def test_an_invalid_transaction_is_certain_only_if_no_other_identitys_can_exist(
    fabric: Fabric, earlier: list[str], error: type[errors.OffchainError]
) -> None:
    ledger = fabric.warm()
    call = Call(function="queryAllDonors", arguments=("{}",))
    fabric.emulation.faults.place(
        "before-broadcast",
        lambda: fabric.submit(ledger, Donor().request()) and None,
        function=call.function,
        times=None,
    )
    with pytest.raises(error):
        fabric.submit(
            ledger, Donor().request(first=False, call=call, created_record=None, earlier_transaction_ids=earlier)
        )


# A key stays usable until its submission has an outcome


def id_of(fabric: Fabric, donor: Donor, number: int) -> str:
    """The id of transaction `number` of a submission, from 0 on."""
    creator = submission.creator(fabric.identity.msp_id, fabric.identity.certificate)
    return submission.transaction_id(next(itertools.islice(submission.series(donor.nonces), number, None)), creator)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("refused", [1, 3, 7])
def test_a_key_stays_usable_after_transactions_that_the_policy_refused(
    fabric: Fabric, refused: int, first: bool
) -> None:
    ledger, donor = fabric.warm(), Donor()
    for nonce in itertools.islice(submission.series(donor.nonces), refused):
        fabric.order_unendorsed(donor.request().call, nonce)
    assert fabric.submit(ledger, donor.request(first=first)).transaction_id == id_of(fabric, donor, refused)
    assert fabric.submit(ledger, donor.request(first=False)).transaction_id == id_of(fabric, donor, refused)
    assert fabric.record(donor) == {**donor.fields, "docType": "donor"}


@pytest.mark.parametrize("first", [True, False])
def test_a_key_stays_usable_however_many_ids_the_sweep_has_used_up(fabric: Fabric, first: bool) -> None:
    ledger, donor = fabric.warm(), Donor()
    for nonce in itertools.islice(submission.series(donor.nonces), 5):
        assert ledger.retire(fabric.identity, nonce, "why", deadline=time.monotonic() + 2) is None
    assert fabric.submit(ledger, donor.request(first=first)).transaction_id == id_of(fabric, donor, 5)


def test_a_key_stays_usable_after_conflicts_that_one_attempt_gave_up_on(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()
    request = donor.request(call=Call(function="queryAllDonors", arguments=("{}",)), created_record=None)
    disturbing = fabric.emulation.faults.place(
        "before-broadcast",
        lambda: fabric.submit(ledger, Donor().request()) and None,
        function="queryAllDonors",
        times=4,
    )
    with pytest.raises(errors.TransactionInvalid, match="Other requests kept changing"):
        fabric.submit(ledger, request)
    assert disturbing.met == 3
    assert fabric.submit(ledger, replace(request, first_attempt=False)).transaction_id == id_of(fabric, donor, 4)


def test_a_refusal_of_the_policy_is_not_told_as_a_conflict(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()
    fabric.emulation.faults.place(
        "before-broadcast",
        lambda: fabric.order_unendorsed(donor.request().call, donor.nonces[0]) and None,
        function="createDonor",
    )
    with pytest.raises(errors.TransactionInvalid, match="ENDORSEMENT_POLICY_FAILURE"):
        fabric.submit(ledger, donor.request())
    assert fabric.submit(ledger, donor.request(first=False)).transaction_id == id_of(fabric, donor, 1)


# What could not be asked is not taken for an answer


def test_an_earlier_transaction_that_cannot_be_looked_up_may_be_there(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()
    earlier = fabric.submit(ledger, donor.request())
    assert earlier.transaction_id is not None
    renewed = client_identity(fabric.emulation, "lambdaUser-renewed")
    fabric.emulation.faults.place("query", "refuse", times=None, function="GetTransactionByID")
    fabric.emulation.faults.place("query", "refuse", times=None, function="queryDonor")
    request = donor.request(first=False, earlier_transaction_ids=[earlier.transaction_id])
    height = fabric.emulation.height
    with pytest.raises(errors.OutcomeUnknown) as raised:
        fabric.submit(ledger, request, identity=renewed)
    assert raised.value.transaction_id == earlier.transaction_id
    assert fabric.emulation.height == height


def test_a_record_that_is_ours_is_success_without_an_id_if_no_transaction_can_be_looked_up(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()
    earlier = fabric.submit(ledger, donor.request())
    renewed = client_identity(fabric.emulation, "lambdaUser-renewed")
    fabric.emulation.faults.place("query", "refuse", times=None, function="GetTransactionByID")
    request = donor.request(first=False, earlier_transaction_ids=[str(earlier.transaction_id)])
    assert fabric.submit(ledger, request, identity=renewed) == Committed(transaction_id=None)


@pytest.mark.parametrize("first", [True, False])
def test_a_record_of_another_is_final_only_if_the_transactions_can_be_looked_up(fabric: Fabric, first: bool) -> None:
    """The record may have replaced what an earlier attempt wrote."""
    ledger, other = fabric.warm(), Donor()
    fabric.submit(ledger, other.request())
    fabric.emulation.faults.place("query", "refuse", times=None, function="GetTransactionByID")
    with pytest.raises(errors.RecordAlreadyExists if first else errors.OutcomeUnknown):
        fabric.submit(ledger, Donor(name=other.name, image="second").request(first=first))


def test_a_peer_without_the_channel_does_not_deny_a_transaction(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()
    committed = fabric.submit(ledger, donor.request())
    fabric.emulation.peers[0].joined = False
    fabric.emulation.peers[1].kill()
    for look_up in (ledger.find, ledger.status):
        with pytest.raises(errors.LedgerUnavailable):
            look_up(fabric.identity, committed.transaction_id, deadline=time.monotonic() + 1)


@pytest.mark.parametrize("words", ["channel not found", "no such transaction", "Entry not found in index", ""])
def test_only_qscc_itself_denies_a_transaction(fabric: Fabric, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a peer says of its own failure."""
    ledger = fabric.warm()
    read = messages.read_answer
    monkeypatch.setattr(messages, "read_answer", lambda data: replace(read(data), message=words, payload=b""))
    with pytest.raises(errors.LedgerUnavailable):
        ledger.find(fabric.identity, "ab" * 32, deadline=time.monotonic() + 1)


def test_a_peer_that_lags_behind_a_known_transaction_denies_nothing(fabric: Fabric) -> None:
    ledger, donor, later = fabric.warm(), Donor(), Donor()
    record = donor.request().created_record
    assert record is not None
    fabric.emulation.peers[0].pause_commits()
    committed = fabric.submit(ledger, donor.request())
    known = fabric.submit(ledger, later.request())
    fabric.emulation.peers[1].kill()

    def find(after: str | None) -> Any:
        return ledger.find(fabric.identity, committed.transaction_id, deadline=time.monotonic() + 1, after=after)

    def has(after: str | None) -> bool:
        return ledger.has_record(fabric.identity, record, deadline=time.monotonic() + 1, after=after)

    assert find(None) is None
    assert not has(None)
    for ask in (find, has):
        with pytest.raises(errors.LedgerUnavailable):
            ask(known.transaction_id)
    fabric.emulation.peers[0].resume_commits()
    while fabric.record(later) is None:
        time.sleep(0.005)
    assert find(known.transaction_id).code == "VALID"
    assert has(known.transaction_id)
    absent = ledger.find(fabric.identity, "ab" * 32, deadline=time.monotonic() + 1, after=known.transaction_id)
    assert absent is None


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_chaincodes_own_refusal_has_any_status(fabric: Fabric, status: int) -> None:
    ledger, donor = fabric.warm(), Donor()
    fabric.emulation.faults.place("chaincode", status, times=None)
    assert ledger.read(fabric.identity, donor.request().created_record.read, deadline=time.monotonic() + 1) is None


def test_a_peers_own_error_is_no_refusal_of_the_chaincode(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()
    record = donor.request().created_record
    assert record is not None
    fabric.emulation.faults.place("query", 500, times=None, function="queryDonor")
    with pytest.raises(errors.LedgerUnavailable):
        ledger.read(fabric.identity, record.read, deadline=time.monotonic() + 1)
    with pytest.raises(errors.LedgerUnavailable):
        ledger.has_record(fabric.identity, record, deadline=time.monotonic() + 1)


@pytest.mark.parametrize("caller_named", [False, True])
def test_a_commit_event_is_proof_unless_the_caller_named_the_submission(fabric: Fabric, caller_named: bool) -> None:
    ledger, donor = fabric.warm(), Donor()
    lookup = fabric.emulation.faults.place("query", "refuse", times=1, function="GetTransactionByID")
    fabric.committed_once(donor, fabric.submit(ledger, donor.request(caller_named=caller_named)))
    assert lookup.met == caller_named
