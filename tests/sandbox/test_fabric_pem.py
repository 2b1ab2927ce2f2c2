"""The emulation's PEM against what Go's encoding/pem printed (go-pem-golden.json, by go_pem_golden.go)."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.fabric import pem

GOLDEN = json.loads(Path(__file__).with_name("go-pem-golden.json").read_text())


@pytest.mark.parametrize("case", GOLDEN, ids=[case["name"] for case in GOLDEN])
def test_pem_is_read_as_go_reads_it(case: dict[str, Any]) -> None:
    data = base64.b64decode(case["input"])
    block, rest = pem.decode(data)
    if case["block"] is None:
        assert (block, rest) == (None, data)
        return
    assert block is not None
    assert {
        "type": block.label.decode(),
        "headers": {name.decode(): value.decode() for name, value in block.headers.items()},
        "bytes": base64.b64encode(block.content).decode(),
        "rest": base64.b64encode(rest).decode(),
    } == case["block"]
