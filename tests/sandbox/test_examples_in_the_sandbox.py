"""The stacks of examples run in the sandbox as they are: a donor is created and read back with proof."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from world import World

from sandbox.assembly import ROOT
from sandbox.runtime import Sandbox

EXAMPLES = ("explicit-endpoints", "connection-profile")


@pytest.fixture(params=EXAMPLES)
def world(request: pytest.FixtureRequest, assembly_of: Callable[[Path], Path]) -> Iterator[World]:
    settings = ROOT / "examples" / "settings" / f"{request.param}.yaml"
    with Sandbox(assembly=assembly_of(settings)) as sandbox:
        yield World(sandbox)


@pytest.mark.long
def test_a_donor_is_created_and_read_back(world: World) -> None:
    status, created = world.create()
    assert status == 200, created
    status, read = world.get(f"/donors/{world.name}")
    assert (status, read["image"]["integrity"]) == (200, "VERIFIED"), json.dumps(read)
    assert read["transactionId"] == created["transactionId"]
