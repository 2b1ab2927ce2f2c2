"""The ledger client on a real network with all nodes up."""

import datetime
import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from shared import errors, submission
from shared.ledger.client import FabricLedger
from shared.ledger.interface import Call, Committed, Submit, TransactionStatus
from shared.ledger.records import list_call, read_call, read_list, read_record
from shared.record_type import RecordType

from tests.fabric.conftest import RealFabric
from tests.unit import upload_samples
from tests.unit.fabric_fixtures import Donor

DONOR = RecordType.from_json(json.dumps(upload_samples.RECORD_TYPE))


@pytest.mark.parametrize("name", ["plain", "Ünïcödé", "O'Brien", 'quote"back\\slash', "\U0001f600", "$#@@ {}", "日本"])
def test_a_donor_is_stored_as_sent(real: RealFabric, name: str) -> None:
    donor = Donor(name=f"{name}-{Donor().name}")
    committed = real.submit(real.ledger(), donor.request())
    assert committed.transaction_id == donor.ids(real.identity)[0]
    assert real.code(committed.transaction_id) == "VALID"
    assert real.record(donor) == {**donor.fields, "docType": "donor"}


@pytest.mark.parametrize("first", [True, False])
def test_the_same_submission_again(real: RealFabric, first: bool) -> None:
    ledger, donor = real.ledger(), Donor()
    committed = real.submit(ledger, donor.request())
    assert real.submit(ledger, donor.request(first=first)) == committed


def test_the_same_submission_at_the_same_time(real: RealFabric) -> None:
    ledger = real.ledger()
    for _ in range(5):
        donor = Donor()
        outcomes = _together(real, ledger, [donor.request(first=n == 0) for n in range(4)])
        assert set(outcomes) == {Committed(transaction_id=donor.ids(real.identity)[0])}


@pytest.mark.parametrize("first", [True, False])
def test_a_key_used_with_another_content(real: RealFabric, first: bool) -> None:
    ledger, donor = real.ledger(), Donor()
    real.submit(ledger, donor.request())
    other = Donor(idempotency_key=donor.idempotency_key)
    with pytest.raises(errors.IdempotencyKeyReused):
        real.submit(ledger, other.request(first=first))
    assert real.record(other) is None


def test_a_key_used_with_another_content_at_the_same_time(real: RealFabric) -> None:
    ledger = real.ledger()
    for _ in range(10):
        donors = [Donor() for _ in range(4)]
        for donor in donors:
            donor.idempotency_key = donors[0].idempotency_key
        outcomes = _together(real, ledger, [donor.request() for donor in donors])
        assert sorted(type(o).__name__ for o in outcomes) == ["Committed"] + ["IdempotencyKeyReused"] * 3
        winners = [donor for donor, o in zip(donors, outcomes, strict=True) if isinstance(o, Committed)]
        assert [donor for donor in donors if real.record(donor)] == winners


def test_many_creates_of_one_donor_at_the_same_time(real: RealFabric) -> None:
    ledger = real.ledger()
    for _ in range(5):
        donors = [Donor(image=f"image-{n}") for n in range(8)]
        for donor in donors:
            donor.name = donors[0].name
        outcomes = _together(real, ledger, [donor.request() for donor in donors])
        assert sorted(type(o).__name__ for o in outcomes) == ["Committed"] + ["RecordAlreadyExists"] * 7
        winner = next(donor for donor, o in zip(donors, outcomes, strict=True) if isinstance(o, Committed))
        assert real.record(winner) == {**winner.fields, "docType": "donor"}


def test_sixteen_at_a_time(real: RealFabric) -> None:
    ledger, donors = real.ledger(), [Donor() for _ in range(320)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda donor: real.submit(ledger, donor.request()), donors))
    assert [answer.transaction_id for answer in answers] == [donor.ids(real.identity)[0] for donor in donors]
    assert all(real.record(donor) for donor in donors[::40])


def test_a_refusal_of_the_chaincode(real: RealFabric) -> None:
    donor = Donor()
    call = Call(function="createDonor", arguments=("no JSON",))
    with pytest.raises(errors.ChaincodeRejected):
        real.submit(real.ledger(), donor.request(call=call))
    with pytest.raises(errors.OutcomeUnknown):
        real.submit(real.ledger(), donor.request(call=call, first=False))
    assert real.code(donor.ids(real.identity)[0]) is None


def test_a_retired_id_can_no_longer_commit(real: RealFabric) -> None:
    ledger, donor = real.ledger(), Donor()
    for number, nonce in enumerate(itertools.islice(submission.series(donor.nonces), 4)):
        assert ledger.retire(real.identity, nonce, "why", deadline=time.monotonic() + 10) is None
        again = ledger.retire(real.identity, nonce, "why", deadline=time.monotonic() + 10)
        assert again is not None, number
        assert again.code not in ("VALID", "DUPLICATE_TXID")
    creator = submission.creator(real.identity.msp_id, real.identity.certificate)
    fifth = next(itertools.islice(submission.series(donor.nonces), 4, None))
    committed = real.submit(ledger, donor.request())
    assert committed.transaction_id == submission.transaction_id(fifth, creator)
    found = ledger.retire(real.identity, fifth, "why", deadline=time.monotonic() + 10)
    assert found is not None
    assert (found.transaction_id, found.code, found.function) == (committed.transaction_id, "VALID", "createDonor")


def test_what_is_not_there_yet_is_not_denied_by_a_peer_that_lags(real: RealFabric) -> None:
    """Each peer here has `known`, so that each one's word counts."""
    ledger, donor = real.ledger(), Donor()
    known = real.submit(ledger, donor.request()).transaction_id
    record = Donor().request().created_record
    assert record is not None
    unknown = {"deadline": time.monotonic() + 10, "after": known}
    assert ledger.find(real.identity, "ab" * 32, **unknown) is None
    assert not ledger.has_record(real.identity, record, **unknown)
    with pytest.raises(errors.LedgerUnavailable):
        ledger.find(real.identity, "ab" * 32, deadline=time.monotonic() + 10, after="cd" * 32)


def test_a_query(real: RealFabric) -> None:
    ledger, donor = real.ledger(), Donor()
    real.submit(ledger, donor.request())
    query = Call(function="queryDonor", arguments=(json.dumps({"donorUserName": donor.name}),))
    found = json.loads(ledger.evaluate(real.identity, query, deadline=time.monotonic() + 10))
    assert found == {**donor.fields, "docType": "donor"}
    missing = Call(function="queryDonor", arguments=(json.dumps({"donorUserName": Donor().name}),))
    with pytest.raises(errors.ChaincodeRejected):
        ledger.evaluate(real.identity, missing, deadline=time.monotonic() + 10)


def test_records_are_read_and_missing_ones_are_not_there(real: RealFabric) -> None:
    ledger, donor = real.ledger(), Donor()
    real.submit(ledger, donor.request())
    found = ledger.read(real.identity, read_call(DONOR, donor.name), deadline=time.monotonic() + 10)
    assert found is not None
    assert read_record(found, DONOR) == donor.fields
    assert ledger.read(real.identity, read_call(DONOR, Donor().name), deadline=time.monotonic() + 10) is None


def test_a_donor_can_be_read_at_once_wherever_it_committed_first(real: RealFabric) -> None:
    ledger = real.ledger()
    for _ in range(20):
        donor = Donor()
        real.submit(ledger, donor.request())
        assert ledger.read(real.identity, read_call(DONOR, donor.name), deadline=time.monotonic() + 10)


def test_the_list_holds_every_record(real: RealFabric) -> None:
    ledger, donors = real.ledger(), [Donor() for _ in range(3)]
    for donor in donors:
        real.submit(ledger, donor.request())
    text = ledger.evaluate(real.identity, list_call(DONOR), deadline=time.monotonic() + 30, patience=30)
    records = read_list(text, DONOR)
    assert [records[f"donor{donor.name}"] for donor in donors] == [donor.fields for donor in donors]


def test_the_status_of_transactions(real: RealFabric) -> None:
    ledger, donor = real.ledger(), Donor()
    began = datetime.datetime.now(datetime.UTC)
    first = real.submit(ledger, donor.request()).transaction_id
    second = real.submit(ledger, Donor().request()).transaction_id
    used_up = Donor()
    assert ledger.retire(real.identity, used_up.nonces[0], "why", deadline=time.monotonic() + 10) is None
    retired = used_up.ids(real.identity)[0]

    def status(transaction_id: str) -> TransactionStatus:
        found = ledger.status(real.identity, transaction_id, deadline=time.monotonic() + 10)
        assert found is not None
        return found

    assert (status(first).code, status(second).code) == ("VALID", "VALID")
    assert 0 < status(first).block_number < status(second).block_number < status(retired).block_number
    claimed = status(first).timestamp
    assert claimed is not None
    assert abs(claimed - began) < datetime.timedelta(minutes=1)
    assert status(retired).code == real.code(retired) != "VALID"
    assert ledger.status(real.identity, "ab" * 32, deadline=time.monotonic() + 10) is None


def _together(real: RealFabric, ledger: FabricLedger, requests: list[Submit]) -> list[Any]:
    def outcome(request: Submit) -> Any:
        try:
            return real.submit(ledger, request)
        except errors.OffchainError as error:
            return error

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(outcome, requests))
