"""The API in the sandbox against its own description: requests that schemathesis makes from it, valid and not."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from world import World, png

from offchain_stack.description import Template, openapi
from sandbox.assembly import synthesize
from sandbox.runtime import Sandbox

CASES = os.environ.get("OFFCHAIN_API_CASES", "10")
"""Generated requests a method; those at the boundaries of the description come on top."""

SEED = os.environ.get("OFFCHAIN_SEED")

CONFIGURATION = """
[parameters]
"body.chaincodeFunctionArgs.image" = { dictionary = "pictures", probability = 0.7 }
"body.fabricUsername" = { dictionary = "users", probability = 0.7 }
"body.functionType" = { dictionary = "kinds", probability = 0.7 }
"body.chaincodeFunction" = { dictionary = "functions", probability = 0.7 }
"header.Idempotency-Key" = { dictionary = "keys", probability = 0.3 }

[dictionaries]
pictures = { values = ["<picture>", "data:image/png;base64,<picture>"] }
users = { values = ["lambdaUser"] }
kinds = { values = ["invoke"] }
functions = { values = ["createDonor"] }
keys = { values = ["first", "second"] }

[phases.coverage]
unexpected-methods = ["DELETE", "PATCH", "PUT"]

[checks]
# API Gateway says 403 of a method that is not there, and not 405.
unsupported_method.enabled = false
positive_data_acceptance.expected-statuses = ["200", "404", "409", "410"]

[[operations]]
# A text is a picture, or the token of a page, only by chance.
include-path = "/donors"
checks.positive_data_acceptance.enabled = false
"""

REACHED = {
    ("POST", "/donors", 200),
    ("POST", "/donors", 400),
    ("POST", "/donors", 409),
    ("GET", "/donors", 200),
    ("GET", "/donors", 400),
    ("GET", "/donors/{}", 200),
    ("GET", "/donors/{}", 400),
    ("GET", "/donors/{}", 404),
    ("GET", "/donors/{}", 409),
    ("GET", "/donors/{}", 410),
    ("GET", "/transactions/{}", 200),
    ("GET", "/transactions/{}", 400),
}
"""Method, path and status that the run must have met, so that it has looked at more than refusals."""


@pytest.fixture
def donors(sandbox: Sandbox) -> list[str]:
    """Donors whose picture is as it was, tampered with and gone, donors without a hash and without a picture, and one
    that does not exist."""
    names = []
    for become in ("verified", "tampered", "missing"):
        world = World(sandbox)
        status, answer = world.create()
        assert status == 200
        if become == "tampered":
            world.put_object(answer["imageKey"], png())
        elif become == "missing":
            sandbox.client("s3").delete_object(Bucket=sandbox.bucket, Key=answer["imageKey"])
        names.append(world.name)
    without_hash, without_picture = World(sandbox), World(sandbox)
    key = f"ngo-donor-images/{without_hash.name}.png"
    without_hash.put_object(key, png())
    without_hash.put_record(imageKey=key)
    without_picture.put_record()
    return [*names, without_hash.name, without_picture.name, World(sandbox).name]


@pytest.mark.long
def test_no_answer_is_outside_the_description(sandbox: Sandbox, donors: list[str], tmp_path: Path) -> None:
    document = openapi(Template.load(synthesize()))
    for operations in document["paths"].values():
        for operation in operations.values():
            # The sandbox counts every request as authorised.
            assert operation.pop("security") == [{"sigv4": []}]
    name = document["paths"]["/donors/{donorUserName}"]["get"]["parameters"][0]
    name["examples"] = {each: {"value": each} for each in donors}
    body = document["paths"]["/donors"]["post"]["requestBody"]["content"]["application/json"]
    body["examples"] = {
        each: {"value": {"chaincodeFunctionArgs": World(sandbox).arguments(donorUserName=f"new-{donors[0]}")}}
        for each in ("new", "there")
    }
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    picture = base64.b64encode(png()).decode()
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION.replace("<picture>", picture))
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml"),
            *("run", "openapi.json", "--url", sandbox.api_url, "--max-examples", CASES, "--continue-on-failure"),
            *(("--seed", SEED, "--generation-database", "none") if SEED else ("--generation-deterministic",)),
            *("--report", "har", "--report-har-path", "requests.har", "--warnings", "off", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert met(tmp_path / "requests.har", document) >= REACHED, run.stdout


def met(har: Path, document: dict[str, Any]) -> set[tuple[str, str, int]]:
    """Method, path with `{}` for its parameter, and status of the requests to paths that are described."""
    found = set()
    for entry in json.loads(har.read_text("utf-8"))["log"]["entries"]:
        path = urlsplit(entry["request"]["url"]).path
        for described in document["paths"]:
            pattern = re.sub(r"\{\w+\}", "{}", described)
            if re.fullmatch(re.escape(pattern).replace(r"\{\}", "[^/]+"), path):
                found.add((entry["request"]["method"], pattern, entry["response"]["status"]))
    return found
