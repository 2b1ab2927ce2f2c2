"""Process-wide settings that must stand before anything imports protobuf, jsii or boto3."""

import functools
import gc
import os

import pytest

pytest_plugins = ["tests.distribution", "tests.log_check"]

# hfc's messages are of the old generated form, which only the Python implementation of protobuf reads.
os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"
os.environ["CDK_VALIDATION"] = "false"
# No test reaches a real account.
os.environ.update(
    AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="secret-of-no-account", AWS_DEFAULT_REGION="us-east-1"
)
for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
    os.environ.pop(name, None)

# Before aws_cdk: it keeps CDK from a banner about Node.
import offchain_stack  # noqa: E402, F401

# What collection makes, millions of objects, lives to the end: to look through them again and again for garbage took
# more than half of its time.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(params=[False, True], ids=["api-gateway", "plain-velocity"])
def velocity(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Mapping templates are rendered as API Gateway does, and then as plain Velocity does; whether it is the latter."""
    from sandbox import vtl

    monkeypatch.setattr(vtl, "render", functools.partial(vtl.render, plain=request.param))
    return bool(request.param)
