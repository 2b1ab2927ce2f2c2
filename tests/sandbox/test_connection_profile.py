"""Connection profiles and MSP folders: what is read, and the error for each thing that can be wrong."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import connection_profile
from sandbox.errors import SandboxError
from sandbox.fabric.msp import CertificateAuthority
from sandbox.ledger import Network, Node

AUTHORITY = CertificateAuthority.create("ca")
ROOTS = {"peer": CertificateAuthority.create("tls-peer").pem, "orderer": CertificateAuthority.create("tls-orderer").pem}
PROFILE: dict[str, Any] = {
    "name": "test",
    "version": "1.0.0",
    "client": {"organization": "Org1"},
    "organizations": {
        "Org1": {"mspid": "Org1MSP", "peers": ["peer0", "peer1"]},
        "Org2": {"mspid": "Org2MSP", "peers": []},
    },
    "channels": {"mychannel": {"orderers": ["orderer"], "peers": {"peer0": {}, "peer1": {"endorsingPeer": False}}}},
    "orderers": {
        "orderer": {
            "url": "grpcs://127.0.0.1:7050",
            "grpcOptions": {"hostnameOverride": "orderer.example.com"},
            "tlsCACerts": {"path": "tls/orderer.pem"},
        }
    },
    "peers": {
        "peer0": {
            "url": "grpcs://127.0.0.1:7051",
            "grpcOptions": {"ssl-target-name-override": "peer0.example.com"},
            "tlsCACerts": {"pem": ROOTS["peer"]},
        },
        "peer1": {"url": "grpcs://peer1.example.com:7051", "tlsCACerts": {"pem": [ROOTS["peer"]]}},
    },
}


@pytest.fixture
def msp(tmp_path: Path) -> Path:
    certificate, key = AUTHORITY.issue("user", role="client")
    for name, text in (("signcerts/cert.pem", certificate), ("keystore/priv_sk", key)):
        file = tmp_path / "msp" / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return tmp_path / "msp"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "orderer.pem").write_text(ROOTS["orderer"])
    return tmp_path


def read(folder: Path, msp: Path, profile: object, *, dump: Callable[[Any], str] = json.dumps) -> Network:
    file = folder / "profile"
    file.write_text(profile if isinstance(profile, str) else dump(profile))
    return connection_profile.read(file, msp=msp, channel="mychannel", chaincode="ngo")


@pytest.mark.parametrize("dump", [json.dumps, yaml.safe_dump], ids=["JSON", "YAML"])
def test_the_channels_endorsing_peers_orderers_and_roots_are_read(
    folder: Path, msp: Path, dump: Callable[[Any], str]
) -> None:
    network = read(folder, msp, PROFILE, dump=dump)
    assert (network.channel, network.chaincode) == ("mychannel", "ngo")
    assert network.peers == (Node(endpoint="127.0.0.1:7051", tls_hostname="peer0.example.com", msp_id="Org1MSP"),)
    assert network.orderers == (Node(endpoint="127.0.0.1:7050", tls_hostname="orderer.example.com"),)
    assert ROOTS["peer"].strip() in network.tls_roots
    assert ROOTS["orderer"].strip() in network.tls_roots
    assert network.identity.msp_id == "Org1MSP"
    assert network.identity.certificate == (msp / "signcerts" / "cert.pem").read_text()
    assert network.identity.private_key == (msp / "keystore" / "priv_sk").read_text()


def test_a_profile_without_channels_gives_all_its_peers_and_orderers(folder: Path, msp: Path) -> None:
    profile = {name: value for name, value in PROFILE.items() if name != "channels"}
    assert [node.endpoint for node in read(folder, msp, profile).peers] == [
        "127.0.0.1:7051",
        "peer1.example.com:7051",
    ]


def changed(path: str, value: object) -> dict[str, Any]:
    profile = copy.deepcopy(PROFILE)
    *parents, last = path.split(".")
    place = profile
    for name in parents:
        place = place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return profile


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        ("{", "neither JSON nor YAML"),
        ("[1]", "is no connection profile"),
        (changed("organizations", None), "organizations is missing"),
        (changed("client", None), "client.organization is missing"),
        (changed("client.organization", "Org3"), "client.organization names 'Org3'"),
        (changed("organizations.Org1.mspid", None), "organizations.Org1.mspid is missing"),
        (changed("channels.mychannel", None), "channels.mychannel is missing; there is none"),
        (changed("channels.mychannel.peers", {}), "channels.mychannel.peers is empty"),
        (changed("channels.mychannel.orderers", []), "channels.mychannel.orderers is empty"),
        (changed("orderers", None), "orderers is missing"),
        (changed("peers.peer0", None), "peers.peer0 is missing"),
        (changed("peers.peer0.url", "grpc://127.0.0.1:7051"), "peers.peer0.url is without TLS"),
        (changed("peers.peer0.url", "127.0.0.1"), "peers.peer0.url is no address such as grpcs://host:7051"),
        (changed("peers.peer0.tlsCACerts", None), "peers.peer0.tlsCACerts has no certificate"),
        (changed("orderers.orderer.tlsCACerts.path", "no.pem"), "orderers.orderer.tlsCACerts.path cannot be read"),
    ],
)
def test_what_is_wrong_in_a_profile_is_named(folder: Path, msp: Path, profile: object, says: str) -> None:
    with pytest.raises(SandboxError) as error:
        read(folder, msp, profile)
    assert str(folder / "profile") in str(error.value)
    assert says in str(error.value)


def test_a_missing_profile_is_named(folder: Path, msp: Path) -> None:
    with pytest.raises(SandboxError, match="No such file"):
        connection_profile.read(folder / "none.json", msp=msp, channel="mychannel", chaincode="ngo")


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("signcerts/cert.pem", "no certificate", "is no certificate in PEM"),
        ("keystore/priv_sk", "no key", "is no private key in PEM"),
        ("keystore/priv_sk", AUTHORITY.issue("another", role="client")[1], "is not the key of"),
        ("keystore/second_sk", "", "has 2 files"),
    ],
)
def test_what_is_wrong_in_an_msp_folder_is_named(folder: Path, msp: Path, file: str, text: str, says: str) -> None:
    (msp / file).write_text(text)
    with pytest.raises(SandboxError, match=says):
        read(folder, msp, PROFILE)


def test_a_missing_msp_folder_is_named(folder: Path) -> None:
    with pytest.raises(SandboxError, match="signcerts has 0 files"):
        read(folder, folder / "none", PROFILE)
