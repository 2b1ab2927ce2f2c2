"""Every fault at every step, on the first try, over the retry, and in the sweep: nothing lost, nothing double.

OFFCHAIN_WHOLE_FAULT_TABLE=1 adds the longer walks of functions that time out, which wait and show nothing new.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

import pytest
from fault_injection import Deployment, Deployments, Fault, Sent, Submission, check_answers, check_promise

from sandbox.fabric.policy import parse

pytestmark = pytest.mark.long

LEFT = 0
OPEN = (500, 504, LEFT)
"""Answers after which an object may be left to the sweep."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A fault, and the truthful answer to a create request that meets it.

    `once`: where it meets one call; `lasting`: where it meets every call, those of the retry included. None: there is
    no such case, or the other one covers it. LEFT: the client left and heard nothing. `taken`: another submission has
    the donor's name. `kept`: the object stays although the request was refused for certain, since the roll-back failed.
    """

    fault: Fault
    once: int | None = None
    lasting: int | tuple[int, int] | None = None
    taken: bool = False
    kept: bool = False

    def __str__(self) -> str:
        return f"{self.fault}{' with the name taken' if self.taken else ''}"


def at(where: str, what: str | int, **more: object) -> Fault:
    return Fault(where=where, what=what, **more)  # type: ignore[arg-type]


ROWS = [
    # S3, before and after it has written; answers lost.
    Row(fault=at("s3:PutObject", "refuse"), once=200, lasting=500),
    Row(fault=at("s3:PutObject", "throttle"), once=200, lasting=500),
    Row(fault=at("s3:PutObject", "reset"), once=200, lasting=500),
    Row(fault=at("s3:PutObject", "hang"), once=500, lasting=500),
    Row(fault=at("s3:PutObject", "refuse", when="after"), lasting=200),
    Row(fault=at("s3:PutObject", "reset", when="after"), lasting=200),
    Row(fault=at("s3:PutObject", "hang", when="after"), once=500, lasting=500),
    Row(fault=at("s3:[!G]*", "refuse"), once=200, lasting=500),
    Row(fault=at("s3:[!G]*", "reset", when="after"), once=200, lasting=500),
    # Secrets Manager.
    Row(fault=at("secretsmanager:*", "refuse", cold=True), once=200, lasting=503),
    Row(fault=at("secretsmanager:*", "reset", cold=True), once=200, lasting=503),
    # Endorsement.
    Row(fault=at("before-endorsement", "refuse"), once=200, lasting=503),
    Row(fault=at("before-endorsement", "hang"), once=200, lasting=503),
    Row(fault=at("before-endorsement", "reset"), once=200, lasting=503),
    Row(fault=at("after-endorsement", "refuse"), once=200, lasting=503),
    Row(fault=at("after-endorsement", "hang"), once=200, lasting=503),
    Row(fault=at("after-endorsement", "reset"), once=200, lasting=503),
    Row(fault=at("after-endorsement", 500), once=200, lasting=503),
    Row(fault=at("peer0", "kill"), lasting=200),
    Row(fault=at("peer0", "freeze"), lasting=200),
    Row(fault=at("peer0", "pause_commits"), lasting=200),
    Row(fault=at("peers", "pause_commits"), lasting=504),
    Row(fault=at("peers", "kill"), lasting=503),
    Row(fault=at("peers", "freeze"), lasting=503),
    Row(fault=at("query", "refuse"), once=200, lasting=504),
    Row(fault=at("query", "hang"), once=200, lasting=504),
    # The chaincode.
    Row(fault=at("chaincode", 500), once=200, lasting=422),
    Row(fault=at("chaincode", 400), once=200, lasting=422),
    Row(fault=at("chaincode", "refuse"), once=200, lasting=503),
    Row(fault=at("chaincode", "reset"), once=200, lasting=503),
    Row(fault=at("chaincode", "hang"), once=200, lasting=503),
    Row(fault=at("shim", "2.4.2"), lasting=409, taken=True),
    Row(fault=at("shim", "2.5.8"), lasting=409, taken=True),
    # Ordering. 503 and 400 come before the orderer takes the envelope; after every other failure it may have it.
    Row(fault=at("before-broadcast", 503), once=200, lasting=503),
    Row(fault=at("before-broadcast", 400), once=200, lasting=503),
    Row(fault=at("before-broadcast", "refuse"), once=200, lasting=504),
    Row(fault=at("before-broadcast", "hang"), once=200, lasting=504),
    Row(fault=at("before-broadcast", "reset"), once=200, lasting=504),
    Row(fault=at("after-broadcast", 503), lasting=200),
    Row(fault=at("after-broadcast", "refuse"), lasting=200),
    Row(fault=at("after-broadcast", "hang"), lasting=200),
    Row(fault=at("after-broadcast", "reset"), lasting=200),
    Row(fault=at("orderer0", "kill"), lasting=200),
    Row(fault=at("orderer0", "freeze"), lasting=200),
    Row(fault=at("orderers", "kill"), lasting=503),
    # Over a connection that is open the envelope may have gone out; where one has to be made, it has not.
    Row(fault=at("orderers", "freeze"), lasting=(503, 504)),
    # The verdict. A stream that has to be opened anew tells nothing at all, and then nothing is ordered.
    Row(fault=at("before-commit-event", "hang"), once=200, lasting=(200, 503)),
    Row(fault=at("before-commit-event", "reset"), once=200, lasting=(200, 503)),
    Row(fault=at("before-commit-event", 500), once=200, lasting=(200, 503)),
    Row(fault=at("deliver", "refuse", cold=True), once=200, lasting=503),
    Row(fault=at("deliver", "hang", cold=True), once=200, lasting=503),
    # Processes killed, and stopped until their time-out, at each step.
    *(
        row
        for what in ("kill", "freeze")
        for row in (
            Row(fault=at("upload", what, when="started"), once=500, lasting=500),
            Row(fault=at("s3:PutObject", what), once=500, lasting=500),
            Row(fault=at("s3:PutObject", what, when="after"), once=500, lasting=500),
            Row(fault=at("invoke", what, when="started"), once=200, lasting=504),
            Row(fault=at("before-endorsement", what), once=200, lasting=504),
            Row(fault=at("after-endorsement", what), once=200, lasting=504),
            # The envelope is on its way already, and may arrive: then the second function finds it on the ledger.
            Row(fault=at("before-broadcast", what), once=200, lasting=(200, 504)),
            Row(fault=at("after-broadcast", what), once=200, lasting=200),
            Row(fault=at("before-commit-event", what), once=200),
        )
    ),
    Row(fault=at("upload", "kill", when="after"), once=500, lasting=500),
    Row(fault=at("invoke", "kill", when="after"), once=200, lasting=504),
    # Lambda and Step Functions themselves.
    Row(fault=at("upload", "throttle"), once=200, lasting=429),
    Row(fault=at("upload", "refuse"), once=200, lasting=500),
    Row(fault=at("upload", "refuse", when="after"), once=200, lasting=500),
    Row(fault=at("invoke", "throttle"), once=200, lasting=429),
    Row(fault=at("invoke", "refuse"), once=200, lasting=504),
    Row(fault=at("invoke", "refuse", when="after"), once=200, lasting=504),
    Row(fault=at("states:StartSyncExecution", "throttle"), lasting=429),
    Row(fault=at("states:StartSyncExecution", "refuse"), lasting=504),
    # The roll-back.
    Row(fault=at("s3:DeleteObject", "refuse"), once=409, lasting=409, taken=True, kept=True),
    Row(fault=at("s3:DeleteObject", "reset", when="after"), once=409, lasting=409, taken=True),
    # The client closes its connection and never learns.
    Row(fault=at("s3:PutObject", "leave"), once=LEFT),
    Row(fault=at("before-endorsement", "leave"), once=LEFT),
    Row(fault=at("after-broadcast", "leave"), once=LEFT),
]


SWEEP_ROWS = [
    Row(fault=fault)
    for fault in (
        at("s3:GetBucket*", "refuse"),
        at("s3:GetObjectTagging", "refuse"),
        at("s3:PutObjectTagging", "reset"),
        at("s3:PutObjectTagging", "reset", when="after"),
        at("s3:DeleteObject", "refuse"),
        at("s3:DeleteObject", "reset", when="after"),
        at("s3:DeleteObject", "kill"),
        at("s3:DeleteObject", "kill", when="after"),
        at("s3:PutObjectTagging", "kill", when="after"),
        at("query", "refuse"),
        at("query", "reset"),
        at("query", "kill"),
        at("peers", "kill"),
        at("before-broadcast", 503),
        at("before-broadcast", "reset"),
        at("before-broadcast", "kill"),
        at("after-broadcast", "reset"),
        at("after-broadcast", "kill"),
        at("before-commit-event", "reset"),
        at("before-commit-event", "kill"),
        at("orderers", "kill"),
        at("sweep", "kill", when="started"),
        at("sweep", "kill", when="after"),
        at("sweep", "throttle"),
    )
]


def send(deployment: Deployment, row: Row, submission: Submission, *expected: int | tuple[int, int] | None) -> Sent:
    """Send, and hold the answer and the bucket against what is true of the ledger."""
    before = {version.version_id for version in deployment.versions(submission.name)}
    sent = deployment.send(submission)
    deployment.settle()
    assert (sent.status or LEFT) in _flat(expected), str(sent)
    check_answers(deployment, [sent])
    check_promise(deployment, [submission.name], swept=False)
    if sent.status in (409, 422, 429, 503) and not row.kept:
        left = {version.version_id for version in deployment.versions(submission.name)} - before
        assert not left, f"the object of a certain refusal remains: {sent}"
    return sent


def _flat(expected: Iterable[int | tuple[int, int] | None]) -> list[int | None]:
    return [status for each in expected for status in (each if isinstance(each, tuple) else (each,))]


def begin(deployment: Deployment, row: Row) -> tuple[Submission, int]:
    """A submission, and the status that it must end with."""
    submission = Submission()
    if row.taken:
        assert deployment.send(Submission(name=submission.name)).status == 200
    return submission, 409 if row.taken else 200


def sweep(deployment: Deployment, *submissions: Submission) -> None:
    report = deployment.sweep()
    assert report is not None
    assert not report["open"], report
    check_promise(deployment, [submission.name for submission in submissions], swept=True)


def once(deployment: Deployment, row: Row) -> None:
    submission, end = begin(deployment, row)
    placed = deployment.place(row.fault, times=1)
    first = send(deployment, row, submission, row.once)
    assert placed.met
    deployment.clear()
    again = send(deployment, row, submission, end)
    check_answers(deployment, [first, again])
    sweep(deployment, submission)


def once_then_sweep(deployment: Deployment, row: Row) -> None:
    submission, end = begin(deployment, row)
    deployment.place(row.fault, times=1)
    first = send(deployment, row, submission, row.once)
    deployment.clear()
    sweep(deployment, submission)
    late = send(deployment, row, submission, end)
    check_answers(deployment, [first, late])


def lasting(deployment: Deployment, row: Row) -> None:
    submission, end = begin(deployment, row)
    placed = deployment.place(row.fault, times=None)
    first = send(deployment, row, submission, row.lasting)
    assert placed.met
    # What was ordered is no longer certain on the second try.
    again = send(deployment, row, submission, row.lasting, 504)
    deployment.clear()
    sweep(deployment, submission)
    late = send(deployment, row, submission, end)
    check_answers(deployment, [first, again, late])


def in_the_sweep(deployment: Deployment, row: Row) -> None:
    """The sweep meets the fault, over a donor's object that is not marked yet and one that nothing was ordered for."""
    created, abandoned = Submission(), Submission()
    first = deployment.send(created)
    deployment.upload_only(abandoned)
    with deployment.sweeping():
        placed = deployment.place(row.fault, times=1)
        deployment.sweep()
        assert placed.met
        deployment.clear()
    check_promise(deployment, [created.name, abandoned.name], swept=False)
    late = send(deployment, row, abandoned, 200)
    again = send(deployment, row, created, 200)
    check_answers(deployment, [first, late, again])
    report = deployment.sweep()
    assert report is not None
    assert not report["open"], report
    check_promise(deployment, [created.name, abandoned.name], swept=True)


Walk = Callable[[Deployment, Row], None]
WHOLE = bool(os.environ.get("OFFCHAIN_WHOLE_FAULT_TABLE"))
TABLE: list[tuple[Walk, Row]] = [
    (walk, row)
    for walk, rows in (
        (lasting, [row for row in ROWS if row.lasting is not None]),
        (once_then_sweep, [row for row in ROWS if row.once in OPEN]),
        (once, [row for row in ROWS if row.once is not None]),
        (in_the_sweep, SWEEP_ROWS),
    )
    for row in rows
    # By default faults that are met at once, and a sweep that dies at each step; the others wait for time-outs, or meet
    # the same faults for longer.
    if WHOLE
    or (walk is once and row.fault.what not in ("freeze", "hang"))
    or (walk is in_the_sweep and row.fault.what == "kill")
]


@pytest.fixture(scope="module")
def walked(request: pytest.FixtureRequest, deployments: Deployments) -> dict[str, Future[None]]:
    """All selected walks, under way in several deployments at once."""
    selected = [each for each in request.session.items if each.path == request.path and hasattr(each, "callspec")]
    cases = {item.nodeid: item.callspec.params["case"] for item in selected if "case" in item.callspec.params}
    return {
        nodeid: deployments.submit(lambda deployment, walk=walk, row=row: walk(deployment, row))
        for nodeid, (walk, row) in cases.items()
    }


@pytest.mark.parametrize("case", TABLE, ids=[f"{walk.__name__}: {row}" for walk, row in TABLE])
def test_after_any_fault_both_are_there_or_neither_or_the_verdict_is_open_and_settles(
    case: tuple[Walk, Row], walked: dict[str, Future[None]], request: pytest.FixtureRequest
) -> None:
    walked[request.node.nodeid].result()


def late_envelope(deployment: Deployment, *, and_die: bool = False) -> tuple[Submission, Sent]:
    """Leave an envelope in an orderer that does not go on; the other one refuses from then on, as without a leader.
    `and_die`: the function that ordered it dies before it has answered."""
    submission = Submission()
    deployment.place(at("before-broadcast", 503, node=1), times=None)
    connected = deployment.send(Submission())
    assert connected.status == 200, str(connected)
    deployment.remove_objects()
    deployment.place(at("orderer0", "freeze"), times=None)
    if and_die:
        deployment.place(at("invoke", "kill", when="after"), times=1)
    sent = deployment.send(submission)
    assert sent.status == 504, str(sent)
    return submission, sent


@pytest.fixture
def deployment(deployments: Deployments) -> Iterator[Deployment]:
    with deployments.one() as free:
        yield free


@pytest.mark.parametrize("swept", [False, True], ids=["before the sweep", "after the sweep"])
def test_an_envelope_that_an_orderer_held_back_commits_with_its_object_or_never(
    deployment: Deployment, swept: bool
) -> None:
    submission, sent = late_envelope(deployment)
    deployment.ledger.faults.clear()
    if swept:
        sweep(deployment, submission)
        assert deployment.versions() == []
    deployment.clear()
    assert (deployment.record(submission.name) is None) == swept
    check_promise(deployment, [submission.name], swept=False)
    late = deployment.send(submission)
    assert late.status == 200, str(late)
    assert (late.body["transactionId"] == sent.body["transactionId"]) != swept
    check_answers(deployment, [sent, late])
    sweep(deployment, submission)


def test_an_envelope_held_back_does_not_undo_a_retry(deployment: Deployment) -> None:
    submission, sent = late_envelope(deployment)
    deployment.ledger.faults.clear()
    late = deployment.send(submission)
    assert (late.status, late.body["transactionId"]) == (200, sent.body["transactionId"])
    deployment.clear()
    check_answers(deployment, [sent, late])
    sweep(deployment, submission)


def test_a_retry_that_can_order_nothing_does_not_deny_what_the_first_try_ordered(deployment: Deployment) -> None:
    submission, sent = late_envelope(deployment)
    again = deployment.send(submission)
    assert (again.status, again.body["transactionId"]) == (504, sent.body["transactionId"])
    deployment.clear()
    assert deployment.committed(submission)
    check_answers(deployment, [sent, again])
    check_promise(deployment, [submission.name], swept=False)


def test_settling_that_can_order_nothing_keeps_what_the_function_that_died_ordered(deployment: Deployment) -> None:
    submission, sent = late_envelope(deployment, and_die=True)
    deployment.clear()
    assert deployment.committed(submission)
    check_answers(deployment, [sent])
    check_promise(deployment, [submission.name], swept=False)


def test_a_certificate_that_is_rotated_between_two_tries_makes_no_second_transaction(deployment: Deployment) -> None:
    submission, abandoned = Submission(), Submission()
    deployment.place(at("invoke", "kill", when="after"), times=2)
    sent = deployment.send(submission)
    assert sent.status == 504, str(sent)
    deployment.upload_only(abandoned)
    deployment.rotate_certificate()
    answers = [sent, deployment.send(submission), deployment.send(abandoned)]
    assert [each.status for each in answers[1:]] == [200, 200]
    assert answers[1].body["transactionId"] == sent.body["transactionId"]
    check_answers(deployment, answers)
    check_promise(deployment, [submission.name, abandoned.name], swept=False)
    sweep(deployment, submission, abandoned)


def test_a_dry_run_of_the_sweep_changes_nothing(deployment: Deployment) -> None:
    created, abandoned = Submission(), Submission()
    deployment.send(created)
    deployment.upload_only(abandoned)
    before, height = deployment.versions(), deployment.ledger.height
    report = deployment.sweep(dry_run=True)
    assert report is not None
    assert [each["verdict"] for each in report["objects"]] == ["dead"]
    assert (report["committed"], report["dead"]) == (1, 1)
    deployment.settle()
    assert (deployment.versions(), deployment.ledger.height) == (before, height)


def test_a_retry_that_cannot_read_the_identity_does_not_deny_what_is_on_the_ledger(deployment: Deployment) -> None:
    submission = Submission()
    first = deployment.send(submission)
    deployment.place(at("secretsmanager:*", "refuse", cold=True), times=None)
    again = deployment.send(submission)
    assert (again.status, again.body.get("transactionId")) == (504, first.body["transactionId"])
    deployment.clear()
    late = deployment.send(submission)
    assert (late.status, late.body["transactionId"]) == (200, first.body["transactionId"])


@pytest.mark.parametrize(("lagging", "fault"), [(0, "kill"), (1, "freeze")])
def test_a_lagging_peer_alone_denies_nothing_that_is_on_the_ledger(
    deployment: Deployment, fault: str, lagging: int
) -> None:
    submission = Submission()
    deployment.place(at(f"peer{lagging}", "pause_commits"), times=None)
    first = deployment.send(submission)
    assert first.status == 200, str(first)
    deployment.place(at(f"peer{1 - lagging}", fault), times=None)
    again = deployment.send(submission)
    assert (again.status, again.body.get("transactionId")) == (504, first.body["transactionId"])
    assert deployment.sweep()
    check_promise(deployment, [submission.name], swept=False)
    deployment.clear()
    check_promise(deployment, [submission.name], swept=False)
    late = deployment.send(submission)
    check_answers(deployment, [first, again, late])
    assert late.status == 200
    sweep(deployment, submission)


def test_a_key_stays_usable_over_rounds_of_crash_and_sweep(deployment: Deployment) -> None:
    submission = Submission()
    for _ in range(4):
        deployment.place(at("invoke", "kill", when="started"), times=None)
        assert deployment.send(submission).status == 504
        deployment.clear()
        sweep(deployment, submission)
        assert deployment.versions() == []
    late = deployment.send(submission)
    assert late.status == 200, str(late)
    check_answers(deployment, [late])
    sweep(deployment, submission)


def test_a_key_stays_usable_after_the_policy_refused_its_transaction(deployment: Deployment) -> None:
    """The chaincode's policy changes between endorsement and validation, and is put right later."""
    submission, definition = Submission(), deployment.ledger.definition
    with pytest.MonkeyPatch.context() as patch:
        other = parse("AND('Org1MSP.peer', 'OrdererMSP.peer')")
        deployment.ledger.faults.place(
            "before-broadcast", lambda: patch.setattr(definition, "policy", other), function="createDonor"
        )
        first = deployment.send(submission)
    assert (first.status, first.body["error"]) == (503, "LedgerUnavailable"), str(first)
    check_promise(deployment, [submission.name], swept=True)
    late = deployment.send(submission)
    assert late.status == 200, str(late)
    check_answers(deployment, [first, late])
    sweep(deployment, submission)


def test_a_key_is_good_for_a_retry_however_many_tries_the_sweep_has_taken_back(deployment: Deployment) -> None:
    submission = Submission()
    for _ in range(4):
        deployment.upload_only(submission)
    report = deployment.sweep()
    assert report is not None
    assert report["dead"] == 4
    late = deployment.send(submission)
    assert late.status == 200, str(late)
    sweep(deployment, submission)


def test_a_retry_is_answered_from_the_ledger_while_nothing_can_be_endorsed_or_ordered(deployment: Deployment) -> None:
    submission = Submission()
    first = deployment.send(submission)
    deployment.place(at("before-endorsement", "refuse"), times=None)
    deployment.place(at("orderers", "kill"), times=None)
    again = deployment.send(submission)
    assert (again.status, again.body) == (200, first.body)
