"""Many clients at once: one donor for one name, one transaction for one key. With the product's own time limits.

OFFCHAIN_PAIRS says how many donors are sent twice each.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_injection import Deployment, Submission, check_answers, check_promise

pytestmark = pytest.mark.long

CREATES = 64
PAIRS = int(os.environ.get("OFFCHAIN_PAIRS", "8"))
PAIRS_AT_A_TIME = 8


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with Deployment(hurried=False) as started:
        yield started


def test_of_many_creates_of_one_donor_exactly_one_succeeds(deployment: Deployment) -> None:
    wanted = [Submission(name="wanted") for _ in range(CREATES)]
    answers = deployment.at_once(deployment.send, wanted)
    assert sorted(sent.status or 0 for sent in answers) == [200] + [409] * (CREATES - 1)
    check_answers(deployment, answers)
    check_promise(deployment, ["wanted"], swept=True)  # with no sweep needed
    assert len(deployment.versions()) == 1
    deployment.remove_objects()


def test_requests_sent_twice_at_once_with_one_key_are_answered_with_one_transaction(deployment: Deployment) -> None:
    with ThreadPoolExecutor(PAIRS_AT_A_TIME) as pool:
        pairs = list(pool.map(lambda pair: deployment.at_once(deployment.send, [pair] * 2), _submissions()))
    assert [sent.status for pair in pairs for sent in pair] == [200] * 2 * PAIRS
    for one, other in pairs:
        assert one.body == other.body
    assert len({one.body["transactionId"] for one, _ in pairs}) == PAIRS
    check_answers(deployment, [sent for pair in pairs for sent in pair])
    check_promise(deployment, [one.submission.name for one, _ in pairs], swept=True)
    deployment.remove_objects()


def test_one_key_for_many_donors_at_once_creates_one_of_them(deployment: Deployment) -> None:
    key = Submission().key
    answers = deployment.at_once(deployment.send, [Submission(key=key) for _ in range(8)])
    assert sorted(sent.status or 0 for sent in answers) == [200] + [400] * 7
    check_answers(deployment, answers)
    check_promise(deployment, [sent.submission.name for sent in answers], swept=True)
    deployment.remove_objects()


def test_a_retry_that_the_sweep_overtakes_keeps_its_object(deployment: Deployment) -> None:
    """The sweep takes back what an earlier try left, at the same time as a retry brings the donor to the ledger."""
    left = [Submission() for _ in range(12)]
    for submission in left:
        deployment.upload_only(submission)
    deployment.sweep(dry_run=True)  # its process is there then
    deployment.wait_until_old()
    with ThreadPoolExecutor(1) as pool:
        swept = pool.submit(deployment.sweep)
        answers = deployment.at_once(deployment.send, left)
    report = swept.result()
    assert report is not None
    assert [sent.status for sent in answers] == [200] * len(left)
    assert report["examined"]
    check_answers(deployment, answers)
    check_promise(deployment, [submission.name for submission in left], swept=False)


def _submissions() -> Iterator[Submission]:
    return (Submission() for _ in range(PAIRS))
