"""Commands that stop, kill or freeze nodes of a network which another process serves."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

from sandbox.fabric.network import FabricEmulation

Command = Literal["stop", "kill", "start", "freeze", "thaw"]
COMMANDS: tuple[Command, ...] = get_args(Command)


def carry_out(network: FabricEmulation, command: Command, name: str) -> None:
    """Does `command` to the node `name`: peer0, peer1, ..., orderer (the first), orderer0, ..., or chaincode.

    Raises ValueError for a node that is not there and for a command that it does not know.
    """
    if command not in COMMANDS:
        raise ValueError(f"unknown command {command!r}; one of {', '.join(COMMANDS)}")
    if name == "chaincode":
        if command not in ("stop", "kill", "start"):
            raise ValueError("the chaincode can be stopped, killed and started")
        network.chaincode_down(command != "start")
        return
    nodes = {f"peer{peer.index}": peer for peer in network.peers}
    others = {f"orderer{orderer.index}": orderer for orderer in network.orderers}
    others["orderer"] = network.orderers[0]
    node = nodes.get(name) or others.get(name)
    if node is None:
        raise ValueError(f"unknown node {name!r}; one of {', '.join([*nodes, *others, 'chaincode'])}")
    getattr(node, command)()


class ControlServer:
    """Takes commands for a network over a Unix socket that the file `control` in the state folder names."""

    def __init__(self, network: FabricEmulation, state: Path) -> None:
        self._network = network
        self._pointer = state / "control"
        # Socket addresses are short: a folder below the state could be too long for one.
        self._folder = tempfile.mkdtemp(prefix="fabric-emulation-")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(f"{self._folder}/control")
        self._socket.listen()
        self._pointer.write_text(f"{self._folder}/control")
        threading.Thread(target=self._serve, name="fabric-control", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._pointer.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            with connection, connection.makefile("rw") as stream:
                try:
                    request = json.loads(stream.readline())
                    for name in request["nodes"]:
                        carry_out(self._network, request["command"], name)
                    answer = {}
                except (ValueError, KeyError, TypeError) as error:
                    answer = {"error": str(error)}
                stream.write(json.dumps(answer) + "\n")


def send(state: Path, command: Command, nodes: list[str]) -> None:
    """Has the process that serves `state` carry out a command; returns when it is done.

    Raises ValueError with its reason if it refuses, FileNotFoundError if none serves there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect((state / "control").read_text())
        with connection.makefile("rw") as stream:
            stream.write(json.dumps({"command": command, "nodes": nodes}) + "\n")
            stream.flush()
            answer = json.loads(stream.readline())
    if "error" in answer:
        raise ValueError(answer["error"])
