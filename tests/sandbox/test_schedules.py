"""Random schedules of faults, concurrent clients, retries and sweeps: the promise holds at the end of every one.

OFFCHAIN_SCHEDULES says how many, OFFCHAIN_SEED with which seed the first one is made, the second one with the next: the
line that is printed for a failure repeats just its plan. It can go differently then, for time is not planned.
"""

import os
import random
import time
from dataclasses import dataclass

import pytest
from fault_injection import Deployment, Deployments, Fault, Sent, Submission, check_answers, check_promise
from test_fault_table import ROWS, SWEEP_ROWS, at

pytestmark = pytest.mark.long

SCHEDULES = int(os.environ.get("OFFCHAIN_SCHEDULES", "2"))
SEED = int(os.environ.get("OFFCHAIN_SEED", "20000"))
FAULTS = [row.fault for row in ROWS if row.fault.what != "leave"]
PERILOUS = [
    fault
    for fault in FAULTS
    if fault.what in ("kill", "refuse", "reset", "hang")
    and (fault.where in ("after-broadcast", "before-broadcast", "before-commit-event", "query", "invoke"))
]
"""Between the broadcast and the answer: what may have been ordered is then not known."""
LAGGING = [at("peer0", "pause_commits"), at("peer1", "pause_commits"), at("peer0", "kill"), at("peer1", "kill")]
"""Two of these at once: a peer lags behind, and the other one cannot be asked."""
SWEEP_FAULTS = [row.fault for row in SWEEP_ROWS] + LAGGING


@dataclass(frozen=True, kw_only=True)
class Request:
    """Submission number `of`, sent `after` so many seconds; its client leaves after `patience` of them."""

    of: int
    after: float
    patience: float | None


@dataclass(frozen=True, kw_only=True)
class Round:
    """Faults, each with how often; requests that meet them at the same time; and what comes then."""

    faults: tuple[tuple[Fault, int | None], ...]
    requests: tuple[Request, ...]
    sweep: bool
    sweep_fault: Fault | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`submissions`: each one's donor and key, by number; no two have the same picture."""

    submissions: tuple[tuple[int, int], ...]
    rounds: tuple[Round, ...]


def plan(seed: int) -> Plan:
    chance = random.Random(seed)
    submissions = []
    for number in range(chance.randint(1, 3)):
        # A donor of one's own or one that is wanted twice; a key of one's own or one that was used for another body.
        donor = chance.choice([number, number, 0])
        key = chance.choice([number, number, number, 0])
        submissions.append((donor, key))
    rounds = []
    for _ in range(chance.randint(1, 2)):
        faults = tuple(
            (chance.choice(chance.choice([FAULTS, PERILOUS, LAGGING])), chance.choice([1, 1, 2, 2, 3, None]))
            for _ in range(chance.choice([0, 1, 2, 2, 3]))
        )
        requests = tuple(
            Request(
                of=chance.randrange(len(submissions)),
                after=chance.choice([0.0, chance.uniform(0, 0.1), chance.uniform(0, 0.4)]),
                patience=chance.choice([None] * 5 + [chance.uniform(0.01, 0.2)]),
            )
            for _ in range(chance.randint(1, 5))
        )
        rounds.append(
            Round(
                faults=faults,
                requests=requests,
                sweep=chance.random() < 0.4,
                sweep_fault=chance.choice([None, chance.choice(SWEEP_FAULTS)]),
            )
        )
    return Plan(submissions=tuple(submissions), rounds=tuple(rounds))


def run(deployment: Deployment, planned: Plan) -> None:
    tag = f"{time.time_ns():x}"
    submissions = [Submission(name=f"donor-{tag}-{donor}", key=f"{tag}-{key}") for donor, key in planned.submissions]
    names = [submission.name for submission in submissions]
    answers: list[Sent] = []

    def send(request: Request) -> Sent:
        time.sleep(request.after)
        return deployment.send(submissions[request.of], patience=request.patience)

    for step in planned.rounds:
        for fault, times in step.faults:
            deployment.place(fault, times=times)
        answers += deployment.at_once(send, step.requests)
        deployment.clear()
        check_answers(deployment, answers)
        check_promise(deployment, names, swept=False)
        if step.sweep:
            with deployment.sweeping():
                if step.sweep_fault:
                    deployment.place(step.sweep_fault, times=1)
                deployment.sweep()
                deployment.clear()
            check_promise(deployment, names, swept=False)
    settle(deployment, names)
    for submission in submissions:
        # With nothing in the way each one gets its donor, unless another one has it or has used its key.
        committed = deployment.committed(submission) is not None
        taken = deployment.record(submission.name) is not None
        shared = sum(other.key == submission.key for other in submissions) > 1
        late = deployment.send(submission)
        answers.append(late)
        allowed = {200} if committed else {409, 400} if taken else {200, 400} if shared else {200}
        assert late.status in allowed, f"{late}, allowed: {allowed}"
    check_answers(deployment, answers)
    settle(deployment, names)


def settle(deployment: Deployment, names: list[str]) -> None:
    report = deployment.sweep()
    assert report is not None
    assert not report["open"], report
    check_promise(deployment, names, swept=True)


def test_the_promise_holds_at_the_end_of_every_schedule(deployments: Deployments) -> None:
    print(f"OFFCHAIN_SEED={SEED} OFFCHAIN_SCHEDULES={SCHEDULES}")
    plans = {seed: plan(seed) for seed in range(SEED, SEED + SCHEDULES)}
    running = {
        seed: deployments.submit(lambda deployment, planned=planned: run(deployment, planned))
        for seed, planned in plans.items()
    }
    failed = {seed: error for seed, future in running.items() if (error := future.exception())}
    for seed, error in failed.items():
        print(f"OFFCHAIN_SEED={seed} OFFCHAIN_SCHEDULES=1: {error}\n{plans[seed]}")
    assert not failed, f"seeds {', '.join(map(str, failed))} of {SEED} to {SEED + SCHEDULES - 1}: see the plans above"
