"""The benchmark measures what it says; its figures themselves are nobody's promise here."""

import subprocess
import sys
from xml.etree import ElementTree

import pytest

from bench import chart, measure, network, report


def test_without_a_network_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OFFCHAIN_FABRIC_PROFILE", raising=False)
    monkeypatch.delenv("OFFCHAIN_FABRIC_MSP", raising=False)
    done = subprocess.run([sys.executable, "-m", "bench"], capture_output=True, text=True, cwd=measure.ROOT)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "OFFCHAIN_FABRIC_PROFILE and OFFCHAIN_FABRIC_MSP" in done.stderr


def test_both_python_clients_commit_on_a_network() -> None:
    plan = measure.Plan(rounds=1, seconds=0.1, cold=1, warm_up=0)
    with network.emulated() as target:
        rounds, _ = measure.run(["offchain-stack", "raw"], target, plan, lambda text: None)
    for client in rounds:
        (only,) = rounds[client]
        assert not only.errors
        # A commit awaits its batch.
        assert min(only.cold, only.warm) > network.EMULATED_BATCH_TIMEOUT
        assert list(only.throughput) == [1, 4, 16]
        assert all(only.throughput.values())


def test_a_client_that_fails_is_no_figure() -> None:
    plan = measure.Plan(rounds=1, seconds=0.1, cold=1)
    with network.emulated() as target:
        pass
    with pytest.raises(measure.Failed, match="raw: its process ended with 1"):
        measure.run(["raw"], target, plan, lambda text: None)


def test_a_ratio_is_taken_within_each_round() -> None:
    def rounds(*warm: float) -> list[measure.Round]:
        return [measure.Round(cold=w, warm=w, throughput=dict.fromkeys((1, 4, 16), 1 / w)) for w in warm]

    found = {"offchain-stack": rounds(0.1, 0.2, 0.9), "raw": rounds(0.1, 0.1, 0.3)}
    lines = report.bars(found).splitlines()
    assert "| Warm latency: raw | <= 1.1 | 2.00 [1.50 to 2.50] | MISSED |" in lines
    assert "| Throughput at 16: fabric-network | > 1.0 | not measured | |" in lines
    assert "| Warm: submit and wait, one at a time, ms | 200 [150 to 550] | 100 [100 to 200] |" in report.table(found)
    ElementTree.fromstring(chart.draw(found, "<caption>"))
