"""Connection profiles and MSP folders: what is read, and the error for each thing that can be wrong."""

import base64
import copy
import json
import os
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
        ("[1]", "is a list, not a connection profile"),
        (changed("organizations", None), "organizations is missing"),
        (changed("client.organization", "Org3"), "client.organization names 'Org3'"),
        (changed("organizations.Org1.mspid", None), "organizations.Org1.mspid is missing"),
        (changed("orderers", None), "orderers is missing"),
        (changed("peers.peer0", None), "channels.mychannel.peers.peer0 names 'peer0', which is not in peers"),
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
        ("signcerts/cert.pem", "no certificate", "signcerts/cert.pem holds a text that is no PEM"),
        ("signcerts/cert.pem", "", "signcerts/cert.pem is empty"),
        ("keystore/priv_sk", "no key", "keystore/priv_sk holds a text that is no PEM"),
        ("keystore/priv_sk", AUTHORITY.pem, "keystore/priv_sk holds a CERTIFICATE, not a PRIVATE KEY"),
        ("keystore/priv_sk", AUTHORITY.issue("another", role="client")[1], "is not the key of"),
        ("keystore/priv_sk", AUTHORITY.issue("another", role="client")[1].replace("M", "N", 1), "cannot be read"),
    ],
)
def test_what_is_wrong_in_an_msp_folder_is_named(folder: Path, msp: Path, file: str, text: str, says: str) -> None:
    (msp / file).write_text(text)
    with pytest.raises(SandboxError, match=says) as error:
        read(folder, msp, PROFILE)
    assert "\n" not in str(error.value)


def test_the_key_that_fits_the_certificate_is_taken_of_several(folder: Path, msp: Path) -> None:
    right = (msp / "keystore" / "priv_sk").read_text()
    for name in ("0a1b_sk", "zz_sk"):
        (msp / "keystore" / name).write_text(AUTHORITY.issue("earlier", role="client")[1])
    (msp / "keystore" / "README").write_text("Keys of this user, by their SKI.")
    (msp / "keystore" / "der_sk").write_bytes(der(AUTHORITY.issue("earlier", role="client")[1]))
    # What an interrupted copy leaves.
    (msp / "keystore" / "copy_sk").write_text(right)
    assert read(folder, msp, PROFILE).identity.private_key == right


LEFTOVERS = (
    ".DS_Store",
    "._cert.pem",
    "Thumbs.db",
    "desktop.ini",
    ".cert.pem.swp",
    "cert.pem~",
    "#cert.pem#",
    "cert.bak",
)


@pytest.mark.parametrize("name", LEFTOVERS)
def test_what_file_managers_and_editors_leave_is_ignored(folder: Path, msp: Path, name: str) -> None:
    expected = read(folder, msp, PROFILE).identity
    certificate, key = AUTHORITY.issue("earlier", role="client")
    # Both an old pair, as after a renewal, and what is neither text nor PEM.
    for part, text in (("signcerts", certificate), ("keystore", key)):
        (msp / part / name).write_text(text)
    assert read(folder, msp, PROFILE).identity == expected
    for part in ("signcerts", "keystore"):
        (msp / part / name).write_bytes(b"\0\0\0\x01Bud1\0\0\x10")
    assert read(folder, msp, PROFILE).identity == expected


def test_two_certificates_with_their_keys_are_named(folder: Path, msp: Path) -> None:
    for part, text in zip(("signcerts", "keystore"), AUTHORITY.issue("another", role="client"), strict=True):
        (msp / part / "another").write_text(text)
    with pytest.raises(SandboxError, match=r"each have a key in .*keystore: leave one of them there") as error:
        read(folder, msp, PROFILE)
    assert all(name in str(error.value) for name in ("signcerts/another", "signcerts/cert.pem"))


def der(pem: str) -> bytes:
    return base64.b64decode("".join(line for line in pem.splitlines() if not line.startswith("-----")))


@pytest.mark.parametrize("name", ["signcerts/cert.pem", "keystore/priv_sk"])
def test_der_is_called_so_with_the_way_out(folder: Path, msp: Path, name: str) -> None:
    (msp / name).write_bytes(der((msp / name).read_text()))
    with pytest.raises(SandboxError, match=f"{name} holds DER, not PEM. Convert it with openssl x509 or openssl pkey"):
        read(folder, msp, PROFILE)


def test_roots_in_der_are_called_so_with_the_way_out(folder: Path, msp: Path) -> None:
    (folder / "tls" / "orderer.pem").write_bytes(der(ROOTS["orderer"]))
    with pytest.raises(SandboxError, match=r"tlsCACerts\.path holds DER, not PEM\. Convert it with openssl x509"):
        read(folder, msp, PROFILE)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_read_with_and_without_a_mark(folder: Path, msp: Path, encoding: str) -> None:
    expected = read(folder, msp, PROFILE)
    for file in (msp / "signcerts" / "cert.pem", msp / "keystore" / "priv_sk", folder / "tls" / "orderer.pem"):
        file.write_bytes(file.read_text().encode(encoding))
    assert read(folder, msp, PROFILE) == expected


def test_the_folder_around_an_msp_folder_will_do(folder: Path, msp: Path, tmp_path: Path) -> None:
    user = tmp_path / "user"
    user.mkdir()
    msp.rename(user / "msp")
    assert read(folder, user, PROFILE).identity.msp_id == "Org1MSP"


@pytest.mark.parametrize("name", ["none", "profile", "tls"])
def test_what_is_not_an_msp_folder_is_named(folder: Path, name: str) -> None:
    with pytest.raises(SandboxError, match=f"{name} is not an MSP folder: give one with signcerts/ and keystore/"):
        read(folder, folder / name, PROFILE)


def test_an_empty_keystore_is_named(folder: Path, msp: Path) -> None:
    (msp / "keystore" / "priv_sk").unlink()
    with pytest.raises(SandboxError, match="keystore has no file"):
        read(folder, msp, PROFILE)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_key_that_may_not_be_read_is_named(folder: Path, msp: Path) -> None:
    (msp / "keystore" / "priv_sk").chmod(0)
    with pytest.raises(SandboxError, match="priv_sk cannot be read: Permission denied"):
        read(folder, msp, PROFILE)


@pytest.mark.parametrize(
    ("orderer", "says"), [("localhost", "--orderer localhost: 'localhost' is not host:port"), ("=a", "--orderer =a: ")]
)
def test_an_orderer_of_another_form_is_named(folder: Path, msp: Path, orderer: str, says: str) -> None:
    with pytest.raises(SandboxError, match=says):
        connection_profile.read(
            folder / "profile", msp=msp, channel="mychannel", chaincode="ngo", orderers=[orderer], tls_roots=None
        )


@pytest.mark.parametrize(
    ("name", "says"), [("none.pem", "none.pem cannot be read: No such file"), ("der", "--tls-roots .*der holds DER")]
)
def test_roots_of_orderers_that_are_none_are_named(folder: Path, msp: Path, name: str, says: str) -> None:
    (folder / "tls" / "der").write_bytes(der(ROOTS["orderer"]))
    with pytest.raises(SandboxError, match=says):
        connection_profile.read(
            folder / "profile", msp=msp, channel="mychannel", chaincode="ngo", tls_roots=folder / "tls" / name
        )
