"""Fabric networks for the tests (the emulation, or a real one named by two environment variables), and the sandbox."""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import aws_cdk as cdk
import pytest
import raw_fabric  # first: it chooses the protobuf implementation
import yaml
from fault_injection import Deployments

from offchain_stack import OffChainStack, Settings
from sandbox.assembly import Assembly, load, synthesize
from sandbox.fabric import FabricEmulation, Identity
from sandbox.fabric.msp import CertificateAuthority
from sandbox.runtime import Sandbox

Issue = Callable[..., Identity]
AssemblyOf = Callable[[Path], Path]


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.long)], ids=["", "two organisations"])
def network(request: pytest.FixtureRequest) -> Iterator[raw_fabric.Network]:
    """An organisation with two peers, or two, and an orderer. With OFFCHAIN_FABRIC_PROFILE and OFFCHAIN_FABRIC_MSP set:
    that real network, whose endorsement policy is a majority of its organisations."""
    profile = os.environ.get("OFFCHAIN_FABRIC_PROFILE")
    if profile:
        if request.param != 1:
            pytest.skip("the real network is as it is")
        real = raw_fabric.from_profile(
            yaml.safe_load(Path(profile).read_text()), Path(os.environ["OFFCHAIN_FABRIC_MSP"])
        )
        yield real
        real.close()
        return
    others = ["Org2MSP"] * (request.param - 1)
    with FabricEmulation(peers=2, other_organizations=others, execute_timeout=0.3) as emulation:
        emulated = raw_fabric.of(emulation)
        yield emulated
        emulated.close()


@pytest.fixture(scope="module")
def issue(network: raw_fabric.Network) -> Issue:
    """`issue(role=..., not_before=..., not_after=...)`: an identity of the channel's organisation.

    On a real network that needs its CA's key: a folder with *-cert.pem and *_sk named by OFFCHAIN_FABRIC_CA.
    """
    if network.emulation:

        def from_emulation(**options: object) -> Identity:
            return network.emulation.enroll("someone", **options)

        return from_emulation
    folder = os.environ.get("OFFCHAIN_FABRIC_CA")
    if not folder:
        pytest.skip("a real network without its CA's key: set OFFCHAIN_FABRIC_CA to a folder with *-cert.pem and *_sk")
    authority = CertificateAuthority.load(
        next(Path(folder).glob("*-cert.pem")).read_text(), next(Path(folder).glob("*_sk")).read_text()
    )

    def from_real(**options: object) -> Identity:
        return Identity(network.user.msp_id, *authority.issue("someone", **{"role": "client", **options}))

    return from_real


@pytest.fixture(scope="session")
def assembly() -> Assembly:
    """This repository's own stack, synthesized."""
    return load(synthesize())


@pytest.fixture(scope="session")
def assembly_of(tmp_path_factory: pytest.TempPathFactory) -> AssemblyOf:
    """The assembly of a settings file, made in this process: CDK is loaded once, and not by a process for each one."""

    @functools.cache
    def assembly_of(settings: Path) -> Path:
        read = Settings.from_file(settings)
        app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir=str(tmp_path_factory.mktemp("assembly")))
        OffChainStack(app, read.stack_name, settings=read)
        return Path(app.synth().directory)

    return assembly_of


@pytest.fixture(scope="session")
def session_sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def sandbox(session_sandbox: Sandbox) -> Iterator[Sandbox]:
    """The one sandbox of this test process, with no fault placed at begin and end."""
    yield session_sandbox
    session_sandbox.faults.clear()
    session_sandbox.ledger.faults.clear()


@pytest.fixture(scope="session")
def session_deployments() -> Iterator[Deployments]:
    with Deployments(int(os.environ.get("OFFCHAIN_DEPLOYMENTS", "2"))) as started:
        yield started


@pytest.fixture(scope="module")
def deployments(session_deployments: Deployments) -> Iterator[Deployments]:
    """The deployments of this test process with short time limits, OFFCHAIN_DEPLOYMENTS many."""
    with pytest.MonkeyPatch.context() as patch:
        # The workflow's retries wait for a random time up to a bound: here not at all.
        patch.setattr(random, "uniform", lambda low, high: low)
        yield session_deployments
