"""Connection profiles and MSP folders: what is read, and the error for each thing that can be wrong."""

import copy
import json
import ssl
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
    assert network.tls_roots == (ROOTS["peer"] + ROOTS["orderer"]).strip()
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


LENIENT: dict[str, Callable[[str], bytes]] = {
    "blanks for line breaks": lambda pem: pem.replace("\n", " ").encode(),
    "CR only": lambda pem: pem.replace("\n", "\r").encode(),
    "UTF-8 with a byte order mark": lambda pem: pem.encode("utf-8-sig"),
    "UTF-16": lambda pem: pem.encode("utf-16"),
    "no last line break": lambda pem: pem.rstrip().encode(),
    "indented": lambda pem: pem.replace("\n", "\n   ").encode(),
}


@pytest.mark.parametrize("form", LENIENT.values(), ids=LENIENT)
def test_files_are_made_canonical_in_whatever_form_they_are(
    folder: Path, msp: Path, form: Callable[[str], bytes]
) -> None:
    files = [folder / "tls" / "orderer.pem", msp / "signcerts" / "cert.pem", msp / "keystore" / "priv_sk"]
    as_issued = [file.read_text() for file in files]
    for file in files:
        file.write_bytes(form(file.read_text()))
    written = form(ROOTS["peer"]).decode("utf-16" if form(ROOTS["peer"])[:1] == b"\xff" else "utf-8")
    network = read(folder, msp, changed("peers.peer0.tlsCACerts.pem", written))
    assert network.tls_roots == (ROOTS["peer"] + ROOTS["orderer"]).strip()
    certificate = network.identity.certificate
    assert certificate.rstrip("\n") == as_issued[1].rstrip("\n")
    assert network.identity.private_key == as_issued[2]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("peers.peer0.tlsCACerts.pem", ROOTS["peer"][:200]), "peers.peer0.tlsCACerts holds damaged PEM"),
        (("peers.peer0.tlsCACerts.pem", "x"), "peers.peer0.tlsCACerts holds a text that is no PEM"),
        (("peers.peer0.tlsCACerts.pem", AUTHORITY.issue("a")[1]), "peers.peer0.tlsCACerts holds a private key"),
        (("orderers.orderer.tlsCACerts.path", "tls/der"), "orderers.orderer.tlsCACerts.path holds DER"),
    ],
    ids=["cut short", "no PEM", "a key", "DER"],
)
def test_roots_that_are_no_pem_are_named(folder: Path, msp: Path, change: tuple[str, str], says: str) -> None:
    (folder / "tls" / "der").write_bytes(ssl.PEM_cert_to_DER_cert(ROOTS["orderer"]))
    with pytest.raises(SandboxError, match=says):
        read(folder, msp, changed(*change))


def test_a_missing_profile_is_named(folder: Path, msp: Path) -> None:
    with pytest.raises(SandboxError, match="No such file"):
        connection_profile.read(folder / "none.json", msp=msp, channel="mychannel", chaincode="ngo")


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("signcerts/cert.pem", "no certificate", "signcerts/cert.pem: holds a text that is no PEM"),
        ("keystore/priv_sk", "no key", "keystore/priv_sk: holds a text that is no PEM"),
        ("keystore/priv_sk", AUTHORITY.pem, "keystore/priv_sk: holds a CERTIFICATE, not a PRIVATE KEY"),
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
