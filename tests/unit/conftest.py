"""AWS for unit tests: moto in this process. Property tests without time limits."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, settings
from moto import mock_aws
from shared import aws

from tests.unit.signals import Signals

# A busy machine is no failure.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="module")
def aws_emulation() -> Iterator[None]:
    """moto in place of AWS for the tests of one module."""
    with mock_aws():
        aws.client.cache_clear()
        yield
    aws.client.cache_clear()


@pytest.fixture(scope="module")
def s3_resource(aws_emulation: None) -> Any:
    """boto3's, which takes long to make."""
    return boto3.resource("s3")


@pytest.fixture
def bucket(s3_resource: Any) -> Iterator[Any]:
    """A new versioned bucket (a boto3 Bucket)."""
    resource = s3_resource.Bucket("offchain-test")
    resource.create()
    resource.Versioning().enable()
    yield resource
    resource.object_versions.delete()
    resource.delete()


@pytest.fixture
def signals(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Signals:
    """What functions say from here on."""
    return Signals(capsys, monkeypatch)
