"""A deployment that asks for several organisations, in the sandbox."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from world import World

from sandbox.assembly import ROOT
from sandbox.runtime import Sandbox


@pytest.mark.long
@pytest.mark.parametrize("asked", [2, ["Org1MSP", "Org2MSP"]])
def test_a_donor_needs_all_organizations_that_the_settings_name(
    asked: Any, assembly_of: Callable[[Path], Path], tmp_path: Path
) -> None:
    settings = yaml.safe_load((ROOT / "examples" / "settings" / "explicit-endpoints.yaml").read_text())
    del settings["endorsements"]
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(settings | {"endorsingOrganizations": asked}))
    with Sandbox(assembly=assembly_of(file)) as sandbox:
        first, second = sandbox.ledger.peers
        assert first.msp_id != second.msp_id
        status, created = World(sandbox).create()
        assert status == 200, created
        height = sandbox.ledger.height
        second.kill()
        world = World(sandbox)
        status, refused = world.create()
        assert (status, refused["error"]) == (503, "LedgerUnavailable"), refused
        assert sandbox.ledger.height == height
        second.start()
        status, created = world.create()
        assert status == 200, created
