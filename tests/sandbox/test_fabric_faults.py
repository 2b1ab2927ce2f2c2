"""Faults and node control of the Fabric emulation: each must really bite, and end when it should."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
import raw_fabric
from hfc.protos.common import common_pb2
from hfc.protos.peer import chaincode_event_pb2, proposal_pb2, proposal_response_pb2
from raw_fabric import Network, codes, donor, envelope, seek_info, unused_name

from sandbox.fabric import ChaincodeError, FabricEmulation, Stub, control

UNAVAILABLE, DEADLINE = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED


@contextlib.contextmanager
def started(**options: Any) -> Iterator[tuple[FabricEmulation, Network]]:
    with FabricEmulation(**{"batch_timeout": 0.02, **options}) as emulation:
        network = raw_fabric.of(emulation)
        try:
            yield emulation, network
        finally:
            network.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[FabricEmulation, Network]]:
    with started(peers=2, orderers=2, execute_timeout=0.3, election_time=0.0) as both:
        yield both


@pytest.fixture
def emulation(shared: tuple[FabricEmulation, Network]) -> Iterator[FabricEmulation]:
    yield shared[0]
    shared[0].faults.clear()


@pytest.fixture
def network(shared: tuple[FabricEmulation, Network], emulation: FabricEmulation) -> Network:
    return shared[1]


def create(network: Network, name: str | None = None) -> Any:
    return network.propose("createDonor", donor(name or unused_name()))


def fails(call: Callable[[], object]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code()


def patience(action: object) -> float:
    """Seconds to wait for a call that meets this action: only what hangs must reach its deadline."""
    return 0.15 if action == "hang" else 5


def eventually(condition: Callable[[], object], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.005)


def answers(call: Callable[[], object]) -> bool:
    try:
        call()
    except grpc.RpcError:
        return False
    return True


def committed(emulation: FabricEmulation, proposal: Any, *, peer: int = 0) -> list[str]:
    return [each.validation_code for each in emulation.transactions(peer=peer) if each.tx_id == proposal.tx_id]


# Endorsement


@pytest.mark.parametrize("step", ["before-endorsement", "after-endorsement"])
@pytest.mark.parametrize("action", ["refuse", "reset"])
def test_endorsement_fails_and_works_again(
    emulation: FabricEmulation, network: Network, step: Any, action: Any
) -> None:
    fault = emulation.faults.place(step, action, node=0)
    assert network.endorse(create(network), peer=1).response.status == 200
    proposal = create(network)
    assert fails(lambda: network.endorse(proposal)) == UNAVAILABLE
    assert (fault.met, fault.reached.is_set()) == (1, True)
    # A client may learn only from its next call that the connection is gone.
    eventually(lambda: answers(lambda: network.endorse(proposal)))
    assert network.submit(proposal) == "VALID"


@pytest.mark.parametrize("step", ["before-endorsement", "after-endorsement"])
def test_endorsement_hangs_until_the_deadline_or_until_released(
    emulation: FabricEmulation, network: Network, step: Any
) -> None:
    emulation.faults.place(step, "hang")
    assert fails(lambda: network.endorse(create(network), timeout=0.1)) == DEADLINE

    hold = threading.Event()
    fault = emulation.faults.place(step, "hang", hold=hold)
    threading.Thread(target=lambda: (fault.reached.wait(5), hold.set())).start()
    assert network.endorse(create(network)).response.status == 200
    emulation.faults.place(step, "hang", hold=0.01)
    assert network.endorse(create(network)).response.status == 200


def test_a_status_can_be_answered_instead(emulation: FabricEmulation, network: Network) -> None:
    emulation.faults.place("before-endorsement", 503)
    assert network.endorse(create(network)).response.status == 503
    emulation.faults.place("before-broadcast", 503)
    proposal = create(network)
    signed = envelope(proposal, [network.endorse(proposal)])
    (answer,) = network.broadcast(signed)
    assert (answer.status, answer.info) == (503, "no Raft leader")
    assert network.order(proposal, signed) == "VALID"


def test_a_fault_bites_only_its_function_and_only_so_often(emulation: FabricEmulation, network: Network) -> None:
    fault = emulation.faults.place("before-endorsement", "refuse", function="createNGO", times=2)
    assert network.endorse(create(network)).response.status == 200
    ngo = '{"ngoRegistrationNumber": "1"}'
    assert [fails(lambda: network.query("createNGO", ngo)) for _ in range(2)] == [UNAVAILABLE] * 2
    assert network.query("createNGO", ngo).response.status == 200
    assert fault.met == 2
    emulation.faults.place("before-endorsement", "refuse", times=None)
    assert [fails(lambda: network.endorse(create(network))) for _ in range(3)] == [UNAVAILABLE] * 3
    emulation.faults.clear()
    assert network.endorse(create(network)).response.status == 200


def test_queries_have_a_step_of_their_own(emulation: FabricEmulation, network: Network) -> None:
    emulation.faults.place("before-endorsement", "refuse")
    emulation.faults.place("query", "refuse", times=2)
    assert fails(lambda: network.query("queryDonor", donor("x"))) == UNAVAILABLE
    assert fails(lambda: network.transaction("ab")) == UNAVAILABLE
    assert network.query("queryAllDonors").response.status == 200
    assert fails(lambda: network.endorse(create(network))) == UNAVAILABLE


def test_unknown_steps_and_actions_are_refused(emulation: FabricEmulation) -> None:
    with pytest.raises(ValueError, match="unknown step 'sometime'"):
        emulation.faults.place("sometime", "refuse")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown action 'explode'"):
        emulation.faults.place("query", "explode")  # type: ignore[arg-type]


# Broadcast


@pytest.mark.parametrize("action", ["refuse", "reset", "hang"])
def test_an_envelope_that_is_not_taken_is_never_ordered(
    emulation: FabricEmulation, network: Network, action: Any
) -> None:
    proposal = create(network)
    signed = envelope(proposal, [network.endorse(proposal)])
    fault = emulation.faults.place("before-broadcast", action, function="createDonor")
    code = fails(lambda: network.broadcast(signed, timeout=patience(action)))
    assert code == (DEADLINE if action == "hang" else UNAVAILABLE)
    # The client's deadline may come before the orderer hears of it, and then clearing would let the envelope through.
    assert action != "hang" or fault.abandoned.wait(30)
    emulation.faults.clear()
    assert network.submit(create(network)) == "VALID"
    assert committed(emulation, proposal) == []


@pytest.mark.parametrize("action", ["refuse", "reset", "hang"])
def test_an_envelope_whose_answer_is_lost_is_ordered(emulation: FabricEmulation, network: Network, action: Any) -> None:
    proposal = create(network)
    signed = envelope(proposal, [network.endorse(proposal)])
    emulation.faults.place("after-broadcast", action, function="createDonor")
    code = fails(lambda: network.broadcast(signed, timeout=patience(action)))
    assert code == (DEADLINE if action == "hang" else UNAVAILABLE)
    eventually(lambda: committed(emulation, proposal) == ["VALID"])


def test_a_released_broadcast_goes_on(emulation: FabricEmulation, network: Network) -> None:
    proposal = create(network)
    signed = envelope(proposal, [network.endorse(proposal)])
    fault = emulation.faults.place("before-broadcast", "hang")
    threading.Thread(target=lambda: (fault.reached.wait(5), fault.release())).start()
    assert network.order(proposal, signed) == "VALID"


def test_a_callable_runs_at_its_step_and_may_end_the_node(emulation: FabricEmulation, network: Network) -> None:
    proposal = create(network)
    signed = envelope(proposal, [network.endorse(proposal)])
    seen: list[list[str]] = []

    def end() -> None:
        seen.append(committed(emulation, proposal))
        emulation.orderers[0].kill()

    emulation.faults.place("before-broadcast", end, node=0)
    assert fails(lambda: network.broadcast(signed)) == UNAVAILABLE
    assert seen == [[]]
    assert network.broadcast(signed, orderer=1)[0].status == common_pb2.SUCCESS
    eventually(lambda: committed(emulation, proposal) == ["VALID"])
    emulation.orderers[0].start()
    emulation.faults.place("before-broadcast", lambda: 503)
    assert network.broadcast(signed)[0].status == 503


# Commit events


def test_a_commit_event_can_be_held_back(emulation: FabricEmulation, network: Network) -> None:
    proposal = create(network)
    signed = envelope(proposal, [network.endorse(proposal)])
    fault = emulation.faults.place("before-commit-event", "hang", node=0, function="createDonor")
    with network.deliver(seek_info(network.height(), None)) as stream:
        network.broadcast(signed)
        eventually(lambda: committed(emulation, proposal))
        assert fault.reached.wait(5)
        assert network.code(proposal.tx_id) == "VALID"
        fault.release()
        assert codes(next(stream)) == [(proposal.tx_id, "VALID")]


@pytest.mark.parametrize("action", ["refuse", "reset", 503])
def test_a_stream_can_break_before_the_event(emulation: FabricEmulation, network: Network, action: Any) -> None:
    emulation.faults.place("before-commit-event", action, node=1)
    height = network.height()
    with network.deliver(seek_info(height, None), peer=1) as stream:
        proposal = create(network)
        network.broadcast(envelope(proposal, [network.endorse(proposal)]))
        if action == 503:
            assert next(stream).status == 503
        else:
            assert fails(lambda: next(stream)) == UNAVAILABLE
    with network.deliver(seek_info(height, None), peer=1) as stream:
        assert codes(next(stream)) == [(proposal.tx_id, "VALID")]


@pytest.mark.parametrize(("action", "code"), [("refuse", UNAVAILABLE), ("reset", UNAVAILABLE), ("hang", DEADLINE)])
def test_a_stream_can_fail_to_open(emulation: FabricEmulation, network: Network, action: Any, code: Any) -> None:
    emulation.faults.place("deliver", action)
    with network.deliver(seek_info("newest", None), timeout=patience(action)) as stream:
        assert fails(lambda: next(stream)) == code
    with network.deliver(seek_info("newest", None)) as stream:
        assert next(stream).HasField("filtered_block")


# Chaincode


def test_chaincode_that_is_down_is_answered_as_the_peer_does(emulation: FabricEmulation, network: Network) -> None:
    ordered = create(network)
    signed = envelope(ordered, [network.endorse(ordered)])
    emulation.chaincode_down(True)
    try:
        proposal = create(network)
        answer = network.endorse(proposal).response
        assert answer.status == 500
        assert answer.message.startswith(
            f"error in simulation: failed to execute transaction {proposal.tx_id}: could not launch chaincode ngo_1:"
        )
        assert answer.message.endswith('connect: connection refused"')
        # What is endorsed already is committed all the same, and the ledger can be asked.
        assert network.order(ordered, signed) == "VALID"
    finally:
        emulation.chaincode_down(False)
    assert network.endorse(proposal).response.status == 200


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("refuse", "could not launch chaincode ngo_1:"),
        ("reset", "error sending: chaincode stream terminated"),
        ("hang", "error sending: timeout expired while executing transaction"),
    ],
)
def test_chaincode_can_fail_at_a_call(emulation: FabricEmulation, network: Network, action: Any, reason: str) -> None:
    emulation.faults.place("chaincode", action)
    proposal = create(network)
    answer = network.endorse(proposal)
    assert answer.response.status == 500
    text = f"error in simulation: failed to execute transaction {proposal.tx_id}: {reason}"
    assert answer.response.message.startswith(text)
    assert not answer.HasField("endorsement")
    assert network.endorse(proposal).response.status == 200


def test_a_refusal_takes_the_form_of_the_chaincodes_shim(emulation: FabricEmulation, network: Network) -> None:
    name = unused_name()
    assert network.submit(create(network, name), peers=(0, 1)) == "VALID"
    emulation.peers[0].shim = "2.5.8"
    answer = network.endorse(create(network, name))
    assert (answer.response.status, answer.response.message) == (500, "")
    assert not answer.HasField("endorsement")
    emulation.peers[0].shim = "2.4.2"
    answer = network.endorse(create(network, name))
    assert answer.response.message.endswith("timeout expired while executing transaction")
    emulation.peers[0].shim = "2.2.3"
    assert "already exists" in network.endorse(create(network, name)).response.message


def test_a_diverging_peer_does_not_agree_with_the_others(emulation: FabricEmulation, network: Network) -> None:
    emulation.peers[1].diverges = True
    try:
        proposal = create(network)
        answers = [network.endorse(proposal, peer=peer) for peer in (0, 1)]
    finally:
        emulation.peers[1].diverges = False
    assert [answer.response.status for answer in answers] == [200, 200]
    assert answers[0].payload != answers[1].payload


# Nodes that come and go


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_peer_that_was_down_catches_up_on_the_same_port(
    emulation: FabricEmulation, network: Network, how: str
) -> None:
    peer, endpoint = emulation.peers[1], emulation.peers[1].endpoint
    with network.deliver(seek_info("newest", None), peer=1) as stream:
        next(stream)
        getattr(peer, how)()
        assert fails(lambda: next(stream)) == UNAVAILABLE
    assert fails(lambda: network.endorse(create(network), peer=1)) == UNAVAILABLE
    before = peer.height
    missed = create(network)
    assert network.submit(missed) == "VALID"
    assert peer.height == before
    peer.start()
    assert peer.endpoint == endpoint
    eventually(lambda: committed(emulation, missed, peer=1) == ["VALID"])
    eventually(lambda: _answers(lambda: network.code(missed.tx_id, peer=1)) == "VALID")


def _answers(call: Callable[[], Any]) -> Any:
    """The answer, or None while the channel still finds its way back to the node."""
    try:
        return call()
    except grpc.RpcError:
        return None


def test_a_peer_can_lag(emulation: FabricEmulation, network: Network) -> None:
    name = unused_name()
    emulation.peers[1].pause_commits()
    try:
        proposal = create(network, name)
        assert network.submit(proposal) == "VALID"
        assert network.query("queryDonor", donor(name), peer=1).response.status == 500
        assert "Entry not found" in network.transaction(proposal.tx_id, peer=1).response.message
        late = create(network, name)
        answer = network.endorse(late, peer=1)
        assert network.order(late, envelope(late, [answer])) == "MVCC_READ_CONFLICT"
    finally:
        emulation.peers[1].resume_commits()
    eventually(lambda: committed(emulation, late, peer=1) == ["MVCC_READ_CONFLICT"])


def test_a_frozen_peer_answers_nobody_and_goes_on_afterwards(emulation: FabricEmulation, network: Network) -> None:
    peer, fresh = emulation.peers[1], raw_fabric.of(emulation)
    network.endorse(create(network), peer=1)
    peer.freeze()
    try:
        assert fails(lambda: network.endorse(create(network), peer=1, timeout=0.15)) == DEADLINE
        assert fails(lambda: fresh.endorse(create(network), peer=1, timeout=0.15)) in (DEADLINE, UNAVAILABLE)
        proposal = create(network)
        assert network.submit(proposal) == "VALID"
        assert committed(emulation, proposal, peer=1) == []
    finally:
        peer.thaw()
        fresh.close()
    eventually(lambda: committed(emulation, proposal, peer=1) == ["VALID"])
    assert network.endorse(create(network), peer=1).response.status == 200


def test_what_a_frozen_orderer_was_sent_can_commit_after_the_client_gave_up(
    emulation: FabricEmulation, network: Network
) -> None:
    assert network.submit(create(network)) == "VALID"
    proposal = create(network)
    signed = envelope(proposal, [network.endorse(proposal)])
    emulation.orderers[0].freeze()
    try:
        assert fails(lambda: network.broadcast(signed, timeout=0.15)) == DEADLINE
        assert committed(emulation, proposal) == []
    finally:
        emulation.orderers[0].thaw()
    eventually(lambda: committed(emulation, proposal) == ["VALID"])


def test_an_orderer_without_leader_says_so_and_recovers() -> None:
    with started(election_time=0.3) as (emulation, network):
        proposal = create(network)
        signed = envelope(proposal, [network.endorse(proposal)])
        emulation.orderers[0].kill()
        assert fails(lambda: network.broadcast(signed)) == UNAVAILABLE
        assert network.endorse(create(network)).response.status == 200
        emulation.orderers[0].start()
        eventually(lambda: _answers(lambda: network.broadcast(signed)[0].info) == "no Raft leader")
        with network.deliver(seek_info("newest", "newest"), orderer=0) as stream:
            assert next(stream).status == common_pb2.SERVICE_UNAVAILABLE
        eventually(lambda: network.broadcast(signed)[0].status == common_pb2.SUCCESS)
        eventually(lambda: committed(emulation, proposal)[:1] == ["VALID"])


def test_what_an_orderer_has_not_cut_is_lost_with_it() -> None:
    with started(batch_timeout=30) as (emulation, network):
        proposal = create(network)
        signed = envelope(proposal, [network.endorse(proposal)])
        assert network.broadcast(signed)[0].status == common_pb2.SUCCESS
        emulation.orderers[0].kill()
        emulation.orderers[0].start()
        assert (emulation.height, committed(emulation, proposal)) == (1, [])


def test_a_peer_gets_no_blocks_while_nobody_can_hand_them_out() -> None:
    with started(orderers=1, election_time=0.0) as (emulation, network):
        proposal = create(network)
        signed = envelope(proposal, [network.endorse(proposal)])
        emulation.peers[0].stop()
        network.broadcast(signed)
        eventually(lambda: emulation.height == 2)
        emulation.orderers[0].stop()
        emulation.peers[0].start()
        eventually(lambda: _answers(lambda: network.height()) == 1)
        emulation.orderers[0].start()
        eventually(lambda: committed(emulation, proposal) == ["VALID"])


# Settings


def test_the_policy_counts_distinct_peers() -> None:
    with started(peers=2, endorsements_required=2) as (_, network):
        proposal = create(network)
        assert network.order(proposal, envelope(proposal, [network.endorse(proposal)])) == "ENDORSEMENT_POLICY_FAILURE"
        proposal = create(network)
        answers = [network.endorse(proposal), network.endorse(proposal)]
        assert network.order(proposal, envelope(proposal, answers)) == "ENDORSEMENT_POLICY_FAILURE"
        assert network.submit(create(network), peers=(0, 1)) == "VALID"


def test_a_full_batch_is_cut_at_once() -> None:
    with started(batch_timeout=30, max_message_count=3) as (emulation, network):
        proposals = [create(network) for _ in range(3)]
        network.broadcast(*[envelope(proposal, [network.endorse(proposal)]) for proposal in proposals])
        eventually(lambda: [each.block_number for each in emulation.transactions()] == [1, 1, 1])


class Counter:
    queries = frozenset({"get"})

    def invoke(self, stub: Stub, function: str, args: Sequence[bytes]) -> bytes:
        if function == "count":
            value = str(int(stub.get_state("count") or b"0") + 1).encode()
            stub.put_state("count", value)
            stub.set_event("counted", value)
            return value
        if function == "reset":
            stub.del_state("count")
            return b""
        if function == "crash":
            raise ZeroDivisionError
        raise ChaincodeError(f"no {function}")


def test_other_chaincode_can_be_run_with_events_and_deletes() -> None:
    with started(chaincodes={"counter": Counter()}) as (emulation, network):
        network.chaincode = "counter"
        height = network.height()
        proposals = [network.propose("count"), network.propose("count"), network.propose("reset")]
        assert [network.submit(proposal) for proposal in proposals[:2]] == ["VALID", "VALID"]
        assert emulation.records("counter") == {"count": b"2"}
        with network.deliver(seek_info(height, None)) as stream:
            (filtered,) = next(stream).filtered_block.filtered_transactions
        (action,) = filtered.transaction_actions.chaincode_actions
        assert action.chaincode_event == chaincode_event_pb2.ChaincodeEvent(
            chaincode_id="counter", tx_id=proposals[0].tx_id, event_name="counted"
        )
        answer = network.endorse(network.propose("count"))
        payload = proposal_response_pb2.ProposalResponsePayload.FromString(answer.payload)
        event = chaincode_event_pb2.ChaincodeEvent.FromString(
            proposal_pb2.ChaincodeAction.FromString(payload.extension).events
        )
        assert event.payload == b"3"
        assert network.submit(proposals[2]) == "VALID"
        assert emulation.record("counter", "count") is None
        assert "chaincode stream terminated" in network.query("crash").response.message
        assert "Error: no get" in network.query("get").response.message
        assert "chaincode ngo not found" in network.query("x", chaincode="ngo").response.message


# One process, many of everything


def test_streams_cost_no_threads_and_end_with_their_clients(emulation: FabricEmulation, network: Network) -> None:
    height = network.height()
    before = _emulation_threads()
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(network.deliver(seek_info(height, None), timeout=20)) for _ in range(150)]
        proposal = create(network)
        assert network.submit(proposal) == "VALID"
        for stream in streams:
            assert codes(next(stream)) == [(proposal.tx_id, "VALID")]
        assert _emulation_threads() == before == 1
    eventually(lambda: emulation.peers[0].streams == 0)


def _emulation_threads() -> int:
    return sum(thread.name.startswith("fabric-emulation") for thread in threading.enumerate())


def test_sixty_four_creates_of_one_donor_at_once_leave_one_valid(emulation: FabricEmulation, network: Network) -> None:
    name, verdicts = unused_name(), []
    answers = [(proposal := create(network, name), network.endorse(proposal)) for _ in range(64)]

    def submit(proposal: Any, answer: Any) -> None:
        network.broadcast(envelope(proposal, [answer]))
        eventually(lambda: committed(emulation, proposal))
        verdicts.extend(committed(emulation, proposal))

    threads = [threading.Thread(target=submit, args=pair) for pair in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(verdicts) == ["MVCC_READ_CONFLICT"] * 63 + ["VALID"]


def test_networks_side_by_side_do_not_mix(emulation: FabricEmulation, network: Network) -> None:
    with started() as (other, other_network):
        name = unused_name()
        assert other_network.submit(create(other_network, name)) == "VALID"
        assert other.record("ngo", "donor" + name)
        assert emulation.record("ngo", "donor" + name) is None
        proposal = create(network)
        proposal.identity = other_network.user
        with pytest.raises(grpc.RpcError, match="access denied"):
            network.endorse(network.propose("createDonor", donor(name), identity=other_network.user))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """(state folder, what the command printed) of `python -m sandbox.fabric` in a process of its own."""
    command = [sys.executable, "-m", "sandbox.fabric", "--state", str(tmp_path), "--peers", "2"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], **pipes) as process:
        try:
            assert process.stdout
            assert process.stderr
            ready = json.loads(process.stdout.readline())
            assert "EMULATION" in process.stderr.readline()
            yield tmp_path, ready
        finally:
            process.terminate()
        assert process.wait(10) == 0
    assert not (tmp_path / "control").exists()


def test_the_command_serves_a_network_that_its_files_describe(served: tuple[Path, dict[str, Any]]) -> None:
    state, ready = served
    assert ready["ready"]
    profile = json.loads((state / "connection-profile.json").read_text())
    network = raw_fabric.from_profile(profile, Path(ready["user_msp"]))
    assert network.peers == ready["peers"]
    assert network.submit(create(network), peers=(0, 1)) == "VALID"

    control.send(state, "stop", ["chaincode"])
    assert "could not launch" in network.endorse(create(network)).response.message
    control.send(state, "start", ["chaincode"])
    control.send(state, "kill", ["peer1", "orderer"])
    assert fails(lambda: network.endorse(create(network), peer=1)) == UNAVAILABLE
    control.send(state, "start", ["peer1", "orderer"])
    eventually(lambda: _answers(lambda: network.endorse(create(network), peer=1)))
    with pytest.raises(ValueError, match="unknown node 'peer2'; one of peer0, peer1, orderer0, orderer, chaincode"):
        control.send(state, "stop", ["peer2"])
    network.close()
