"""The API in the sandbox against its own description: requests that schemathesis makes from it, valid and not, and
bodies of every shape. Each answer is one that the description has, none is a fault of ours, and nothing is left over.
"""

import base64
import http.client
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fault_injection import PREFIX, Deployment
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from test_shapes import without_models
from world import World, png

from offchain_stack.description import Template, openapi
from sandbox.api import Api
from sandbox.assembly import synthesize
from sandbox.runtime import Sandbox

CASES = os.environ.get("OFFCHAIN_API_CASES", "10")
"""Generated requests a method; those at the boundaries of the description come on top."""

SEED = os.environ.get("OFFCHAIN_SEED")

SENT: Counter[str] = Counter()
"""Requests that were sent, by test."""

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
negative_data_rejection.enabled = <models>

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


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """One whose sweep looks at what is a few seconds old."""
    with Deployment(hurried=False) as running:
        yield running


@pytest.fixture(scope="module")
def sandbox(deployment: Deployment) -> Sandbox:
    return deployment.sandbox


@pytest.fixture(scope="module")
def unchecked(sandbox: Sandbox) -> Iterator[Api]:
    """The API without its models, as behind an ExistingMethod."""
    api = Api(without_models(sandbox.assembly), sandbox.workflow.start_sync_execution)
    yield api
    api.close()


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi(Template.load(synthesize()))


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
@pytest.mark.parametrize("models", [True, False], ids=["models", "no-models"])
def test_no_answer_is_outside_the_description(
    models: bool, sandbox: Sandbox, unchecked: Api, document: dict[str, Any], donors: list[str], tmp_path: Path
) -> None:
    document = json.loads(json.dumps(document))
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
    (tmp_path / "schemathesis.toml").write_text(
        CONFIGURATION.replace("<picture>", picture).replace("<models>", str(models).lower())
    )
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml"),
            *(
                "run",
                "openapi.json",
                "--url",
                sandbox.api_url if models else unchecked.url,
                "--max-examples",
                CASES,
                "--continue-on-failure",
            ),
            *(("--seed", SEED, "--generation-database", "none") if SEED else ("--generation-deterministic",)),
            *("--report", "har", "--report-har-path", "requests.har", "--warnings", "off", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    entries = json.loads((tmp_path / "requests.har").read_text("utf-8"))["log"]["entries"]
    SENT["described"] += len(entries)
    assert met(entries, document) >= REACHED, run.stdout


def met(entries: list[dict[str, Any]], document: dict[str, Any]) -> set[tuple[str, str, int]]:
    """Method, path with `{}` for its parameter, and status of the requests to paths that are described."""
    found = set()
    for entry in entries:
        path = urlsplit(entry["request"]["url"]).path
        for described in document["paths"]:
            pattern = re.sub(r"\{\w+\}", "{}", described)
            if re.fullmatch(re.escape(pattern).replace(r"\{\}", "[^/]+"), path):
                found.add((entry["request"]["method"], pattern, entry["response"]["status"]))
    return found


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
PICTURES = st.sampled_from(
    [base64.b64encode(png()).decode(), "data:image/png;base64," + base64.b64encode(png()).decode()]
)
LONG = st.sampled_from([64, 65, 254, 255, 1_000, 245_760, 245_761, 256_000, 300_000]).map(lambda length: "A" * length)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "donorUserName": st.text(st.characters(), min_size=1, max_size=12) | VALUES | LONG,
        "email": st.just("ada@example.org") | VALUES | LONG,
        "image": PICTURES | VALUES | LONG,
        "caller": VALUES,
    },
)
GOOD = st.fixed_dictionaries(
    {"donorUserName": st.text("abc", min_size=6, max_size=12), "email": st.just("ada@example.org"), "image": PICTURES}
)
REQUESTS = st.fixed_dictionaries(
    {"chaincodeFunctionArgs": GOOD | FIELDS | VALUES},
    optional={
        "fabricUsername": st.sampled_from(["lambdaUser", "admin", ""]) | VALUES | LONG,
        "functionType": st.sampled_from(["invoke", "query"]) | VALUES | LONG,
        "chaincodeFunction": st.sampled_from(["createDonor", "queryDonor"]) | VALUES | LONG,
        "submission": VALUES,
        "executionId": VALUES,
        "dataTooLarge": VALUES,
    },
)
DEEP = st.builds(
    lambda depth, opened, inner: '{"chaincodeFunctionArgs": ' + opened * depth + inner,
    st.integers(1, 30_000),
    st.sampled_from(["[", '{"donorUserName":']),
    st.sampled_from(["", "1", '"a"', "]}"]),
) | st.builds(
    lambda depth, name: f'{{"{name}": ' + "[" * depth + "]" * depth + "}",
    st.integers(1, 30_000),
    st.sampled_from(["chaincodeFunctionArgs", "fabricUsername", "a"]),
)
BODIES = (
    (REQUESTS | VALUES).map(json.dumps)
    | REQUESTS.map(lambda value: json.dumps(value, ensure_ascii=False))
    | DEEP
    | st.integers(1, 6_000).map(lambda digits: '{"chaincodeFunctionArgs": ' + "9" * digits + "}")
    | st.text(st.characters())
).map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=60)
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=["Cc"]), max_size=300)
HEADERS = st.fixed_dictionaries({}, optional={"Idempotency-Key": PRINTABLE, "x-amzn-RequestId": PRINTABLE})


@pytest.mark.long
@pytest.mark.parametrize("models", [True, False], ids=["models", "no-models"])
def test_no_body_of_any_shape_is_answered_outside_the_description(
    models: bool, sandbox: Sandbox, unchecked: Api, document: dict[str, Any]
) -> None:
    url = sandbox.api_url if models else unchecked.url
    described = {
        int(status): Draft202012Validator(
            response["content"]["application/json"]["schema"] | {"components": document["components"]}
        )
        for status, response in document["paths"]["/donors"]["post"]["responses"].items()
    }

    @settings(
        max_examples=4 * int(CASES),
        deadline=None,
        derandomize=not SEED,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(body=BODIES, headers=HEADERS)
    def send(body: bytes, headers: dict[str, str]) -> None:
        SENT["shapes"] += 1
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        connection.request("POST", "/donors", body, {"Content-Type": "application/json"} | headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        assert response.status < 500, answer
        described[response.status].validate(answer)

    (seed(int(SEED))(send) if SEED else send)()


@pytest.mark.long
def test_and_nothing_is_left_over_then(deployment: Deployment) -> None:
    """Every object that the tests above have left is one that a record names."""
    deployment.wait_until_old()
    assert deployment.sweep() is not None
    s3, bucket = deployment.sandbox.client("s3"), deployment.sandbox.bucket
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
    keys = {each["Key"] for page in pages for each in page.get("Versions", [])}
    for key in keys:
        name = key.removeprefix(PREFIX).rpartition("/")[0] or key.removeprefix(PREFIX).rpartition(".")[0]
        record = deployment.record(name)
        assert record is not None, f"no record names {key}"
        assert record["imageKey"] == key
    if SENT.keys() == {"described", "shapes"}:
        assert sum(SENT.values()) >= 25 * int(CASES), SENT
