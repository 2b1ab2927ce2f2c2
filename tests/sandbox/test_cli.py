"""The command line, in processes of its own where it starts, ends or leaves something."""

import base64
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox.__main__ import main
from sandbox.demo import PICTURE
from sandbox.fabric import FabricEmulation

ROOT = Path(__file__).parents[2]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(autouse=True)
def no_signal_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)


@pytest.fixture(autouse=True)
def logs_of_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder in which the processes that a test starts put their logs, which stay."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@contextmanager
def up(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    process = start("up", "--port", "0", *arguments)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield process, json.loads(line)
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)


def children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if int(line.split()[1]) == pid]


def gone(pids: list[int]) -> bool:
    """Whether no process of `pids` runs any more, within a few seconds."""
    for _ in range(200):
        listed = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True).stdout
        running = {int(line.split()[0]) for line in listed.splitlines() if not line.split()[1].startswith("Z")}
        if not running & set(pids):
            return True
        time.sleep(0.02)
    return False


def listening(pids: list[int]) -> set[str]:
    """The addresses that the processes listen at, as Linux writes them."""
    links = [link for pid in pids for link in Path(f"/proc/{pid}/fd").iterdir()]
    sockets = {os.readlink(link) for link in links if link.is_symlink()}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}


def create(api: str, name: str) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection(api.removeprefix("http://"), timeout=60)
    arguments = {
        "donorUserName": name,
        "email": f"{name}@example.org",
        "image": base64.b64encode(PICTURE.read_bytes()).decode(),
    }
    body = json.dumps({"chaincodeFunctionArgs": arguments})
    connection.request("POST", "/donors", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


@pytest.mark.long
def test_up_says_in_one_line_what_it_serves_and_sigterm_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "up.json"
    named = ["--caller-arn", "arn:aws:iam::111122223333:user/ada", "--claim", "sub=ada", "--claim", "x=y=z"]
    settings = ROOT / "examples" / "settings" / "record-types.yaml"
    with up("--settings", str(settings), "--ready", str(file), *named) as (process, ready):
        assert ready.keys() == {"ready", "api", "aws", "bucket", "functions", "recordTypes"}
        assert list(ready["recordTypes"]) == ["donors", "invoices"]
        donors, invoices = ready["recordTypes"].values()
        assert ready["functions"] == donors
        assert donors.keys() == invoices.keys()
        assert not set(donors.values()) & set(invoices.values())
        assert json.loads(file.read_text()) == ready
        status, answer = create(ready["api"], "ada")
        assert status == 200
        s3 = boto3.client(
            "s3",
            endpoint_url=ready["aws"],
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )
        assert s3.get_object(Bucket=ready["bucket"], Key=answer["imageKey"])["Body"].read() == PICTURE.read_bytes()
        out, errors = start("verify-all", "--ready", str(file)).communicate(timeout=60)
        reports = [json.loads(line) for line in out.splitlines()]
        assert [(each["records"], each["counts"]["verified"], each["total"]) for each in reports] == [
            ("donors", 1, 1),
            ("invoices", 0, 0),
        ], errors

        second = start("up", "--port", ready["api"].rpartition(":")[2])
        out, errors = second.communicate(timeout=30)
        assert (second.returncode, out) == (1, "")
        assert re.fullmatch(r"sandbox: port \d+ of 127\.0\.0\.1 cannot be had .*\n", errors)

        processes = children(process.pid)
        assert len(processes) >= 3
        if sys.platform == "linux":
            addresses = listening([process.pid, *processes])
            assert f"0100007F:{int(ready['api'].rpartition(':')[2]):04X}" in addresses
            # 127.0.0.1, and the same as gRPC binds it: ::ffff:127.0.0.1.
            assert {each.partition(":")[0][-16:] for each in addresses} == {"0100007F", "FFFF00000100007F"}
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=30)
        assert (process.returncode, out) == (0, "")
        assert "SANDBOX FOR DEVELOPMENT" in errors
        assert "arn:aws:iam::111122223333:user/ada, sub=ada, x=y=z: of every request, and not checked" in errors
        assert (
            "emulated chaincode functions: createInvoice, queryInvoice, queryAllInvoices, which behave like" in errors
        )
        assert "GET /invoices/{invoiceNumber}" in errors
        for name in ("IAM", "VPC", "KMS", "AWS::EC2::VPCEndpoint"):
            assert name in errors.partition("Not emulated")[2]
        assert "Traceback" not in errors
        assert not file.exists()
        assert gone(processes)


@pytest.mark.long
def test_a_killed_sandbox_leaves_nothing_and_a_real_networks_place_is_taken_by_a_profile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FabricEmulation(channel="channel2", msp_id="Org7MSP") as network:
        profile = tmp_path / "profile.json"
        profile.write_text(json.dumps(network.connection_profile()))
        msp = network.write_msp(tmp_path / "msp", network.enroll("user"))
        file = tmp_path / "up.json"
        given = ["--fabric", str(profile), "--identity", str(msp), "--channel", "channel2", "--chaincode", "ngo"]
        with up(*given, "--ready", str(file)) as (process, ready):
            assert ready.keys() == {"ready", "api", "aws", "bucket", "functions"}
            assert ready["ready"] is True
            assert ready["functions"].keys() == {
                "upload_object",
                "invoke_chaincode",
                "query_ledger",
                "verify_object",
                "verify_all",
                "sweep",
            }
            status, answer = create(ready["api"], "ada")
            assert status == 200, answer
            assert json.loads(network.record("ngo", "donorada") or b"")["imageKey"] == answer["imageKey"]
            assert answer["transactionId"] in [each.tx_id for each in network.transactions()]
            processes = children(process.pid)
            process.kill()
            process.wait()
            assert gone(processes)
            assert file.exists()
            assert main(["verify-all", "--ready", str(file)]) == 2
            assert "no sandbox is running" in capsys.readouterr().err


def pasted(command: str, folder: Path) -> dict[str, Any]:
    """What a shell in `folder` prints for the command, which is as it was printed."""
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.long
def test_the_curl_behind_the_ready_line_works_as_pasted_and_the_logs_stay_where_up_says(tmp_path: Path) -> None:
    with up("--ready", str(tmp_path / "up.json")) as (process, ready):
        assert process.stderr is not None
        printed = []
        while not printed or not printed[-1].startswith("  curl") or "--data-binary" in printed[-1]:
            printed.append(process.stderr.readline())
        create, read = (line.strip() for line in printed if line.startswith("  curl"))
        created = pasted(create, tmp_path)
        assert pasted(create, tmp_path) == created
        assert re.fullmatch("[0-9a-f]{64}", created["transactionId"])
        found = pasted(read, tmp_path)
        assert (found["transactionId"], found["image"]["integrity"]) == (created["transactionId"], "VERIFIED")
        assert pasted(f"curl {ready['api']}/nowhere", tmp_path)["error"] == "NotFound"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    logs = Path(next(line for line in printed if line.startswith("  Logs ")).split()[1])
    assert f"The logs stay in {logs}\n" in errors
    assert {f"{ready['functions'][name]}.log" for name in ("upload_object", "query_ledger")} <= set(os.listdir(logs))
    lines = [json.loads(line) for line in (logs / "access.log").read_text().splitlines()]
    requests = [(line["httpMethod"], line["resourcePath"], line["status"]) for line in lines]
    assert requests == [
        ("POST", "/donors", "200"),
        ("POST", "/donors", "200"),
        ("GET", "/donors/{donorUserName}", "200"),
        ("GET", "-", "404"),
    ]
    assert lines[0]["integrationStatus"] == "200"


@pytest.mark.long
def test_a_sandbox_that_does_not_start_leaves_no_logs(logs_of_processes: Path) -> None:
    assert start("up", "--port", "0", "--assembly", "tests").wait(timeout=60) == 1
    assert list(logs_of_processes.iterdir()) == []


@pytest.fixture
def network() -> Iterator[FabricEmulation]:
    with FabricEmulation(channel="channel2", msp_id="Org7MSP") as running:
        yield running


def up_on(network: FabricEmulation, folder: Path, **changes: Any) -> list[str]:
    """The lines that `up` ends with, on a real network with a profile that has these sections, before it is ready."""
    profile = folder / "profile.json"
    profile.write_text(json.dumps(network.connection_profile() | changes))
    msp = network.write_msp(folder / "msp", network.enroll("user"))
    given = [
        "--fabric",
        str(profile),
        "--identity",
        str(msp),
        "--channel",
        "channel2",
        "--ready",
        str(folder / "up.json"),
    ]
    out, errors = (process := start("up", "--port", "0", *given)).communicate(timeout=180)
    assert (process.returncode, out) == (1, "")
    assert not (folder / "up.json").exists()
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    assert lines[0].startswith("sandbox: ")
    return lines


@pytest.mark.long
def test_each_node_of_a_real_network_that_is_not_reached_is_named_before_ready(
    network: FabricEmulation, tmp_path: Path
) -> None:
    described = network.connection_profile()
    node = described["peers"]["peer0"]
    with socket.create_server(("127.0.0.1", 0)) as without_tls:
        plain = without_tls.getsockname()[1]
        threading.Thread(target=hang_up, args=[without_tls], daemon=True).start()
        peers = {
            "peer0": node,
            "unknown": node | {"url": "grpcs://nowhere.invalid:7051"},
            "refusing": node | {"url": "grpcs://127.0.0.1:1"},
            "plain": node | {"url": f"grpcs://127.0.0.1:{plain}"},
        }
        orderer = described["orderers"]["orderer"]
        options = {"ssl-target-name-override": "orderer.example.com"}
        first, *lines = up_on(
            network, tmp_path, peers=peers, orderers={"orderer": orderer | {"grpcOptions": options}}, channels={}
        )
    assert first == "sandbox: the network cannot be used as it is described:"
    named = orderer["url"].removeprefix("grpcs://")
    assert [line.partition(": ")[0] for line in lines] == [
        "peer nowhere.invalid:7051",
        "peer 127.0.0.1:1",
        f"peer 127.0.0.1:{plain}",
        f"orderer {named}",
    ]
    dns, refused, no_tls, name = lines
    assert "no connection: " in dns
    assert re.search("not known|not provided|nodename", dns)
    assert refused.endswith("no connection: Connection refused. Is it up, and the port right?")
    assert "no TLS handshake" in no_tls
    assert "its certificate is not of orderer.example.com but of localhost" in name


def hang_up(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            server.accept()[0].close()


@pytest.mark.long
def test_the_orderers_of_a_real_network_can_be_given_beside_its_profile(
    network: FabricEmulation, tmp_path: Path
) -> None:
    described = network.connection_profile(tls_roots_path="roots.pem")
    (tmp_path / "roots.pem").write_text(network.tls_roots_pem)
    orderer = described.pop("orderers")["orderer"]["url"].removeprefix("grpcs://")
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps(described))
    msp = network.write_msp(tmp_path / "msp", network.enroll("user"))
    given = ["--fabric", str(profile), "--identity", str(msp), "--channel", "channel2"]
    with up(*given, "--orderer", f"{orderer}=localhost", "--ready", str(tmp_path / "up.json")) as (_, ready):
        assert create(ready["api"], "ada")[0] == 200


def test_up_and_verify_all_meet_at_one_file_by_default(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    for command in ("up", "verify-all"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert f"(default: {ROOT / '.sandbox' / 'up.json'})" in capsys.readouterr().out


@pytest.mark.long
def test_the_demo_holds_and_names_its_transaction(capsys: pytest.CaptureFixture[str]) -> None:
    # Not in a process of its own, which would load all that is loaded here; `make demo` runs it so.
    code = main(["demo"])
    out = capsys.readouterr().out
    assert code == 0, out
    assert len(re.findall(r"^transactionId: [0-9a-f]{64}$", out, re.MULTILINE)) == 1
    assert out.endswith("All 9 steps held.\n")
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--fabric", "profile.json"], "--fabric and --identity go together"),
        (["--fabric", "none.json", "--identity", "msp"], "none.json: No such file"),
        (["--orderer", "localhost:7050"], "--orderer is for a real network: give --fabric and --identity"),
        (["--msp-id", "Org1MSP"], "--msp-id is for a real network: give --fabric and --identity"),
        (["--assembly", "tests"], "tests is no cloud assembly"),
        (["--claim", "sub"], "--claim sub: write it as NAME=VALUE"),
        (["--caller-arn", "ada"], "--caller-arn ada: give an ARN"),
        # These run app.py.
        pytest.param(
            ["--settings", "none.yaml"],
            f"offchainSettings: {ROOT / 'none.yaml'}: No such file",
            marks=pytest.mark.long,
        ),
        pytest.param(
            ["--settings", "cdk.json"], "cdk.json: context is for cdk.json; here each setting", marks=pytest.mark.long
        ),
    ],
)
def test_what_is_wrong_with_the_arguments_is_one_clear_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["up", "--port", "0", *arguments]) == 1
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.startswith("sandbox: ")
    assert says in errors
    assert errors.count("\n") == 1
