"""Connection profiles as tools and documentation write them: each is read by the constructs and by the sandbox alike,
or refused by both in one line that names the file and the field."""

import base64
import json
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offchain_stack import (
    ConnectionProfile,
    ConnectionProfileError,
    Endpoint,
    FabricNetwork,
    FabricUser,
    OffChainStack,
    Settings,
)
from offchain_stack.__main__ import _document
from sandbox import connection_profile
from sandbox.errors import SandboxError
from sandbox.fabric.msp import CertificateAuthority

PEER_CA, ORDERER_CA = (CertificateAuthority.create(name).pem for name in ("tlsca.org1", "tlsca.orderers"))
AUTHORITY = CertificateAuthority.create("ca.org1")
USERS = [FabricUser.from_secret_names("lambdaUser", member="org1")]


def indented(pem: str, width: int) -> str:
    return textwrap.indent(pem, " " * width).strip()


def node(url: str, pem: str, **options: Any) -> dict[str, Any]:
    return {"url": url, "tlsCACerts": {"pem": pem}} | ({"grpcOptions": options} if options else {})


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What a file has, and the files beside it; what is given beside it; what is read."""

    text: str | bytes
    files: dict[str, str] = field(default_factory=dict)
    msp_id: str | None = None
    orderer: str | None = None
    tls_roots: str | None = None
    peers: tuple[tuple[str, str | None], ...]
    orderers: tuple[tuple[str, str | None], ...] = (("orderer.example.com:7050", None),)
    of: str = "Org1MSP"
    roots: tuple[str, ...] = (PEER_CA, ORDERER_CA)


ORDERERS = {"orderer.example.com": node("grpcs://orderer.example.com:7050", ORDERER_CA)}
TEST_NETWORK: dict[str, Any] = {
    "name": "test-network-org1",
    "version": "1.0.0",
    "client": {"organization": "Org1", "connection": {"timeout": {"peer": {"endorser": "300"}}}},
    "organizations": {
        "Org1": {
            "mspid": "Org1MSP",
            "peers": ["peer0.org1.example.com"],
            "certificateAuthorities": ["ca.org1.example.com"],
        }
    },
    "peers": {
        "peer0.org1.example.com": node(
            "grpcs://localhost:7051",
            PEER_CA,
            **{
                "ssl-target-name-override": "peer0.org1.example.com",
                "hostnameOverride": "peer0.org1.example.com",
            },
        )
    },
    "certificateAuthorities": {
        "ca.org1.example.com": {
            "url": "https://localhost:7054",
            "caName": "ca-org1",
            "tlsCACerts": {"pem": [AUTHORITY.pem]},
            "httpOptions": {"verify": False},
        }
    },
}
PEER0 = ("localhost:7051", "peer0.org1.example.com")
TEST_NETWORK_YAML = f"""---
name: test-network-org1
version: 1.0.0
client:
  organization: Org1
  connection:
    timeout:
      peer:
        endorser: '300'
organizations:
  Org1:
    mspid: Org1MSP
    peers:
    - peer0.org1.example.com
peers:
  peer0.org1.example.com:
    url: grpcs://localhost:7051
    tlsCACerts:
      pem: |
          {indented(PEER_CA, 10)}
    grpcOptions:
      ssl-target-name-override: peer0.org1.example.com
      hostnameOverride: peer0.org1.example.com
"""
SDK_NODE = """
name: "Network"
version: "1.1"
channels:
  mychannel:
    orderers:
      - orderer.example.com
    peers:
      - peer0.org1.example.com
      - peer0.org2.example.com
organizations:
  Org1:
    mspid: Org1MSP
    peers:
      - peer0.org1.example.com
  Org2:
    mspid: Org2MSP
    peers:
      - peer0.org2.example.com
orderers:
  orderer.example.com:
    url: grpcs://localhost:7050
    grpcOptions:
      ssl-target-name-override: orderer.example.com
    tlsCACerts:
      path: test/orderer.pem
peers:
  peer0.org1.example.com:
    url: grpcs://localhost:7051
    grpcOptions:
      ssl-target-name-override: peer0.org1.example.com
      request-timeout: 120001
    tlsCACerts:
      path: test/peer.pem
  peer0.org2.example.com:
    url: grpcs://localhost:8051
    grpcOptions:
      ssl-target-name-override: peer0.org2.example.com
    tlsCACerts:
      path: test/peer.pem
"""
SDK_GO = """
name: "global-trade-network"
x-type: "hlfv1"
version: 1.0.0
client:
  organization: org1
  cryptoconfig:
    path: ${PROFILE_FOLDER}/crypto
  tlsCerts:
    systemCertPool: false
channels:
  _default:
    peers:
      peer0.org1.example.com:
        endorsingPeer: true
        chaincodeQuery: true
      peer1.org1.example.com:
        endorsingPeer: false
  orgchannel:
    peers:
      peer1.org1.example.com:
organizations:
  org1:
    mspID: Org1MSP
    cryptoPath: peerOrganizations/org1.example.com/users/{username}@org1.example.com/msp
    peers:
      - peer0.org1.example.com
      - peer1.org1.example.com
  ordererorg:
    mspID: "OrdererOrg"
orderers:
  _default:
    grpcOptions:
      keep-alive-time: 0s
  orderer.example.com:
    url: orderer.example.com:7050
    grpcOptions:
      ssl-target-name-override: orderer.example.com
      keep-alive-time: 0s
      allow-insecure: false
    tlsCACerts:
      path: ${PROFILE_FOLDER}/test/orderer.pem
peers:
  peer0.org1.example.com:
    url: peer0.org1.example.com:7051
    eventUrl: peer0.org1.example.com:7053
    grpcOptions:
      ssl-target-name-override: peer0.org1.example.com
      keep-alive-permit: false
    tlsCACerts:
      path: ${PROFILE_FOLDER}/test/peer.pem
  peer1.org1.example.com:
    url: peer1.org1.example.com:7051
    tlsCACerts:
      path: ${PROFILE_FOLDER}/test/peer.pem
entityMatchers:
  peer:
    - pattern: (\\w+).org1.example.(\\w+)
      urlSubstitutionExp: $1.org1.example.$2
      mappedHost: peer0.org1.example.com
"""
FILES = {"test/peer.pem": PEER_CA, "test/orderer.pem": ORDERER_CA}
FABLO = {
    "name": "fablo-test-network-org1",
    "description": "Connection profile for Org1 in Fablo network",
    "version": "1.0.0",
    "client": {"organization": "Org1"},
    "organizations": {
        "Org1": {
            "mspid": "Org1MSP",
            "peers": ["peer0.org1.example.com", "peer0.org2.example.com"],
            "certificateAuthorities": ["ca.org1.example.com"],
        }
    },
    "peers": {
        f"peer0.org{number}.example.com": {
            "url": f"grpcs://localhost:70{number}1",
            "tlsCACerts": {"path": "test/peer.pem"},
            "grpcOptions": {"ssl-target-name-override": f"peer0.org{number}.example.com"},
        }
        for number in (1, 2)
    },
}
MICROFAB_PEER = "org1peer-api.127-0-0-1.nip.io:8080"
MICROFAB = {
    "id": "org1gateway",
    "display_name": "Org1 Gateway",
    "type": "gateway",
    "name": "Org1 Gateway",
    "version": "1.0",
    "wallet": "Org1",
    "client": {"organization": "Org1", "connection": {"timeout": {"peer": {"endorser": "300"}, "orderer": "300"}}},
    "organizations": {"Org1": {"mspid": "Org1MSP", "peers": [MICROFAB_PEER]}},
    "peers": {
        MICROFAB_PEER: node(
            f"grpcs://{MICROFAB_PEER}",
            base64.b64encode(PEER_CA.encode()).decode(),
            **{"grpc.default_authority": MICROFAB_PEER, "grpc.ssl_target_name_override": MICROFAB_PEER},
        )
    },
}
MINIFABRIC = {
    "name": "fabric-network",
    "x-type": "hlfv1",
    "version": "1.0.0",
    "channels": {
        "mychannel": {
            "orderers": ["orderer1.example.com"],
            "peers": ["peer1.org0.example.com", "peer1.org1.example.com"],
        }
    },
    "organizations": {
        "org0.example.com": {"mspid": "org0-example-com", "peers": ["peer1.org0.example.com"], "orderers": []},
        "org1.example.com": {"mspid": "org1-example-com", "peers": ["peer1.org1.example.com"], "orderers": []},
        "example.com": {"mspid": "example-com", "peers": [], "orderers": ["orderer1.example.com"]},
    },
    "orderers": {
        "orderer1.example.com": node(
            "grpcs://192.168.4.3:7008", ORDERER_CA, **{"ssl-target-name-override": "orderer1.example.com"}
        )
    },
    "peers": {
        f"peer1.org{number}.example.com": node(
            f"grpcs://192.168.4.3:700{number}",
            PEER_CA,
            **{"ssl-target-name-override": f"peer1.org{number}.example.com"},
        )
        for number in (0, 1)
    },
}
MINIFABRIC_PYTHON = {
    "name": "fabric-network",
    "version": "0.1",
    "client": {
        "organization": "org0.example.com",
        "credentialStore": {"path": "/tmp/hfc-kvs", "wallet": "wallet-name"},
    },
    "organizations": {
        "org0.example.com": {"mspid": "org0examplecom", "peers": ["peer1.org0.example.com"], "users": {}},
        "example.com": {"mspid": "examplecom", "orderers": ["orderer1.example.com"], "users": {}},
    },
    "orderers": {
        "orderer1.example.com": {
            "url": "192.168.4.3:7008",
            "grpcOptions": {
                "grpc.ssl_target_name_override": "orderer1.example.com",
                "grpc-max-send-message-length": 15,
            },
            "tlsCACerts": {"path": "test/orderer.pem"},
        }
    },
    "peers": {
        "peer1.org0.example.com": {
            "url": "192.168.4.3:7003",
            "grpcOptions": {"grpc.ssl_target_name_override": "peer1.org0.example.com"},
            "tlsCACerts": {"path": "test/peer.pem"},
        }
    },
}
OPERATOR = f"""
name: hlf-network
version: 1.0.0
client:
  organization: ""
organizations:

  OrdererMSP:
    mspid: OrdererMSP
    cryptoPath: /tmp/cryptopath
    users: {{}}
    peers: []
    orderers:
      - ord-node1.default

  Org1MSP:
    mspid: Org1MSP
    cryptoPath: /tmp/cryptopath
    users: {{}}
    peers:
      - org1-peer0.default
    orderers:
orderers:
  "ord-node1.default":

    url: grpcs://orderer0-ord.localho.st:443

    grpcOptions:
      allow-insecure: false
    tlsCACerts:
      pem: |
        {indented(ORDERER_CA, 8)}

peers:
  "org1-peer0.default":
    url: grpcs://172.18.0.2:31001
    grpcOptions:
      hostnameOverride: ""
      ssl-target-name-override: ""
      allow-insecure: false
    tlsCACerts:
      pem: |
        {indented(PEER_CA, 8)}
certificateAuthorities: []
channels:
  _default:
    orderers:
      - "ord-node1.default"
    peers:
      "org1-peer0.default":
        discover: true
        endorsingPeer: true
        chaincodeQuery: true
        ledgerQuery: true
        eventSource: true

"""
IBM = {
    "name": "Org1MSP",
    "description": "Network on IBP v2",
    "version": "1.0.0",
    "client": {"organization": "org1msp"},
    "organizations": {
        "org1msp": {"mspid": "org1msp", "certificateAuthorities": ["10.0.0.8:32000"], "peers": ["10.0.0.8:32001"]}
    },
    "orderers": {"10.0.0.8:32002": node("grpcs://10.0.0.8:32002", ORDERER_CA)},
    "peers": {"10.0.0.8:32001": node("grpcs://10.0.0.8:32001", PEER_CA, **{"grpc.keepalive_time_ms": 600000})},
    "certificateAuthorities": {
        "10.0.0.8:32000": {"url": "https://10.0.0.8:32000", "caName": "ca", "tlsCACerts": {"pem": [AUTHORITY.pem]}}
    },
}
COMPOSER = {
    "name": "hlfv1",
    "x-type": "hlfv1",
    "version": "1.0.0",
    "client": {"organization": "Org1"},
    "channels": {
        "composerchannel": {"orderers": ["other.example.com"], "peers": {"peer9.org1.example.com": {}}},
        "mychannel": {"orderers": None, "peers": {"peer0.org1.example.com": None}},
    },
    "organizations": {"Org1": {"mspid": "Org1MSP", "peers": ["peer0.org1.example.com"]}},
    "orderers": {
        "orderer.example.com": node("grpcs://orderer.example.com:7050/", ORDERER_CA, hostnameOverride=None),
    },
    "peers": {"peer0.org1.example.com": node("GRPCS://peer0.org1.example.com:7051", PEER_CA)},
}
ADDRESS = ("peer0.org1.example.com:7051", None)
WITH_ORDERERS = TEST_NETWORK | {"orderers": ORDERERS}
TABS = json.dumps(WITH_ORDERERS, indent="\t")
YAML_WITH_TABS = TEST_NETWORK_YAML.replace("          ", "\t\t\t\t").replace("  ", "\t")
LISTED = """
client: {organization: Org1}
organizations: {Org1: {mspid: Org1MSP}}
channels:
  mychannel:
    peers:
      - peer0.org1.example.com: {endorsingPeer: true}
      - peer1.org1.example.com: {endorsingPeer: false}
peers:
  peer0.org1.example.com: {url: "peer0.org1.example.com:7051", tlsCACerts: {path: "test/peer.pem, test/orderer.pem"}}
  peer1.org1.example.com: {}
orderers:
  orderer.example.com: {url: "grpcs://orderer.example.com:7050", tlsCACerts: {path: [test/peer.pem]}}
"""

SAMPLES = {
    "the test network's, JSON, with an orderer beside it": Sample(
        text=json.dumps(TEST_NETWORK, indent=4),
        orderer="orderer.example.com:7050",
        tls_roots=ORDERER_CA,
        peers=(PEER0,),
    ),
    "the test network's, YAML, with an orderer beside it": Sample(
        text=TEST_NETWORK_YAML,
        orderer="localhost:7050=orderer.example.com",
        tls_roots=ORDERER_CA,
        peers=(PEER0,),
        orderers=(("localhost:7050", "orderer.example.com"),),
    ),
    "an orderer with a certificate of the peers' CA": Sample(
        text=TEST_NETWORK_YAML, orderer="orderer.example.com:7050", peers=(PEER0,), roots=(PEER_CA,)
    ),
    "the SDK for Node's, of two organisations": Sample(
        text=SDK_NODE,
        files=FILES,
        msp_id="Org2MSP",
        of="Org2MSP",
        peers=(PEER0, ("localhost:8051", "peer0.org2.example.com")),
        orderers=(("localhost:7050", "orderer.example.com"),),
    ),
    "the SDK for Go's, with a default channel": Sample(
        text=SDK_GO,
        files=FILES,
        peers=(("peer0.org1.example.com:7051", "peer0.org1.example.com"),),
        orderers=(("orderer.example.com:7050", "orderer.example.com"),),
    ),
    "Fablo's": Sample(
        text=json.dumps(FABLO),
        files=FILES,
        orderer="orderer.example.com:7050",
        tls_roots=ORDERER_CA,
        peers=(("localhost:7011", "peer0.org1.example.com"), ("localhost:7021", "peer0.org2.example.com")),
    ),
    "Microfab's with TLS": Sample(
        text=json.dumps(MICROFAB),
        orderer="orderer.example.com:7050",
        tls_roots=ORDERER_CA,
        peers=((MICROFAB_PEER, MICROFAB_PEER.partition(":")[0]),),
    ),
    "minifabric's for Node": Sample(
        text=json.dumps(MINIFABRIC),
        msp_id="org1-example-com",
        of="org1-example-com",
        peers=(("192.168.4.3:7000", "peer1.org0.example.com"), ("192.168.4.3:7001", "peer1.org1.example.com")),
        orderers=(("192.168.4.3:7008", "orderer1.example.com"),),
    ),
    "minifabric's for Python": Sample(
        text=json.dumps(MINIFABRIC_PYTHON),
        files=FILES,
        of="org0examplecom",
        peers=(("192.168.4.3:7003", "peer1.org0.example.com"),),
        orderers=(("192.168.4.3:7008", "orderer1.example.com"),),
    ),
    "the Kubernetes operator's": Sample(
        text=OPERATOR,
        peers=(("172.18.0.2:31001", None),),
        orderers=(("orderer0-ord.localho.st:443", None),),
    ),
    "IBM's": Sample(
        text=json.dumps(IBM), of="org1msp", peers=(("10.0.0.8:32001", None),), orderers=(("10.0.0.8:32002", None),)
    ),
    "Composer's, of two channels": Sample(text=json.dumps(COMPOSER), peers=(ADDRESS,)),
    "JSON with a byte order mark and tabs": Sample(text=TABS.encode("utf-8-sig"), peers=(PEER0,)),
    "JSON in UTF-16": Sample(text=TABS.encode("utf-16"), peers=(PEER0,)),
    "YAML with a byte order mark": Sample(
        text=TEST_NETWORK_YAML.encode("utf-8-sig"),
        orderer="orderer.example.com:7050",
        peers=(PEER0,),
        roots=(PEER_CA,),
    ),
    "YAML indented with tabs": Sample(
        text=YAML_WITH_TABS.replace("- peer0", "-\tpeer0"),
        orderer="orderer.example.com:7050",
        peers=(PEER0,),
        roots=(PEER_CA,),
    ),
    "YAML with CR LF": Sample(
        text=TEST_NETWORK_YAML.replace("\n", "\r\n"),
        orderer="orderer.example.com:7050",
        peers=(PEER0,),
        roots=(PEER_CA,),
    ),
    "peers as a list of objects, certificates in several files": Sample(
        text=LISTED, files=FILES, peers=(ADDRESS,), roots=(PEER_CA, ORDERER_CA)
    ),
    "no organisation of the client, and one that has peers": Sample(
        text=json.dumps(
            WITH_ORDERERS
            | {
                "client": None,
                "organizations": {"Orderers": {"mspid": "OrdererMSP", "peers": None}} | TEST_NETWORK["organizations"],
            }
        ),
        peers=(PEER0,),
    ),
    "an empty channel": Sample(
        text=json.dumps(WITH_ORDERERS | {"channels": {"mychannel": {"peers": {}, "orderers": []}}}), peers=(PEER0,)
    ),
    "no organisations, and the one beside it": Sample(
        text=json.dumps({name: value for name, value in WITH_ORDERERS.items() if name in ("peers", "orderers")}),
        msp_id="Org5MSP",
        of="Org5MSP",
        peers=(PEER0,),
    ),
    "no channel, as generators leave it": Sample(text=json.dumps(WITH_ORDERERS | {"channels": None}), peers=(PEER0,)),
    "roots that are not here, and others in their place": Sample(
        text=SDK_GO,
        tls_roots=PEER_CA + ORDERER_CA,
        peers=(("peer0.org1.example.com:7051", "peer0.org1.example.com"),),
        orderers=(("orderer.example.com:7050", "orderer.example.com"),),
    ),
}

TLS_NAMES = (
    "ssl-target-name-override",
    "ssl_target_name_override",
    "sslTargetNameOverride",
    "hostnameOverride",
    "hostname-override",
    "hostname_override",
    "grpc.ssl_target_name_override",
    "grpc.ssl-target-name-override",
    "grpc.default_authority",
    "overrideAuthority",
)


def write(folder: Path, text: str | bytes, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    profile = folder / "profile"
    profile.write_bytes(text if isinstance(text, bytes) else text.encode())
    return profile


def certificates(pem: str) -> list[str]:
    return re.findall("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", pem, re.DOTALL)


def msp(folder: Path) -> Path:
    certificate, key = AUTHORITY.issue("user", role="client")
    for name, text in (("signcerts/cert.pem", certificate), ("keystore/priv_sk", key)):
        (folder / "msp" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "msp" / name).write_text(text)
    return folder / "msp"


def through_the_constructs(profile: Path, sample: Sample) -> tuple[str, dict[str, Any]]:
    """The MSP id, and what the functions are told of the network."""
    address, _, name = (sample.orderer or "").partition("=")
    network = FabricNetwork.from_connection_profile(
        cdk.Stack(),
        "Network",
        path=profile,
        channel="mychannel",
        chaincode="ngo",
        users=USERS,
        msp_id=sample.msp_id,
        orderers=[Endpoint(address=address, tls_hostname=name or None)] if address else [],
        tls_roots=sample.tls_roots,
    )
    msp_id: str = json.loads(network.identities_environment["FABRIC_IDENTITIES"])["mspId"]
    told: dict[str, Any] = json.loads(network.network_environment["FABRIC_NETWORK"])
    return msp_id, told


def through_the_sandbox(profile: Path, sample: Sample) -> tuple[str, dict[str, Any]]:
    roots = profile.parent / "roots.pem"
    roots.write_text(sample.tls_roots or "")
    network = connection_profile.read(
        profile,
        msp=msp(profile.parent),
        channel="mychannel",
        chaincode="ngo",
        msp_id=sample.msp_id,
        orderers=[sample.orderer] if sample.orderer else [],
        tls_roots=roots if sample.tls_roots else None,
    )
    told = {"peers": [each.as_setting() for each in network.peers], "tlsRoots": network.tls_roots}
    return network.identity.msp_id, told | {"orderers": [each.as_setting() for each in network.orderers]}


READERS = {"the constructs": through_the_constructs, "the sandbox": through_the_sandbox}
Read = Callable[[Path, Sample], tuple[str, dict[str, Any]]]


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_a_profile_is_read(sample: Sample, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFILE_FOLDER", str(tmp_path))
    msp_id, told = read(write(tmp_path, sample.text, sample.files), sample)
    assert msp_id == sample.of
    for kind, expected in (("peers", sample.peers), ("orderers", sample.orderers)):
        assert tuple((each["endpoint"], each.get("tlsHostname")) for each in told[kind]) == expected
    assert certificates(told["tlsRoots"]) == certificates("".join(sample.roots))


@pytest.mark.parametrize("name", TLS_NAMES)
def test_the_name_in_a_certificate_is_found_as_every_sdk_writes_it(name: str, tmp_path: Path) -> None:
    peers = {"peer0.org1.example.com": node("grpcs://localhost:7051", PEER_CA, **{name: "peer0.example.com"})}
    profile = write(tmp_path, json.dumps(WITH_ORDERERS | {"peers": peers}), {})
    (peer,) = ConnectionProfile.read(profile, channel="mychannel").peers
    assert peer.tls_hostname == "peer0.example.com"


def test_a_peers_organisation_is_what_lists_it_and_never_a_guess(tmp_path: Path) -> None:
    def organisations(text: str) -> list[str | None]:
        profile = write(tmp_path, text, FILES)
        given = [Endpoint(address="orderer.example.com:7050")] if "orderers" not in json.loads(text) else []
        read = ConnectionProfile.read(profile, channel="mychannel", msp_id=None, orderers=given)
        return [peer.msp_id for peer in read.peers]

    assert organisations(json.dumps(TEST_NETWORK)) == ["Org1MSP"]
    assert organisations(json.dumps(MINIFABRIC | {"client": {"organization": "org0.example.com"}})) == [
        "org0-example-com",
        "org1-example-com",
    ]
    # Org1 lists its peer and Org2's.
    assert organisations(json.dumps(FABLO)) == [None, None]


@pytest.mark.parametrize("dump", [json.dumps, None], ids=["JSON", "YAML"])
def test_the_orderers_to_add_are_right_as_the_message_has_them(
    tmp_path: Path, dump: Callable[[object], str] | None
) -> None:
    text = json.dumps(TEST_NETWORK) if dump else TEST_NETWORK_YAML
    profile = write(tmp_path, text, {"orderer-tls-ca.pem": ORDERER_CA})
    with pytest.raises(ConnectionProfileError) as refusal:
        ConnectionProfile.read(profile, channel="mychannel")
    stanza = str(refusal.value).partition(": add ")[2].partition(" to the profile, or give orderers")[0]
    profile.write_text(f"{text[:-1]}, {stanza}}}" if dump else f"{text}{stanza}\n")
    read = ConnectionProfile.read(profile, channel="mychannel")
    assert [each.address for each in read.orderers] == ["orderer.example.com:7050"]
    assert ORDERER_CA.strip() in read.tls_roots


def test_settings_give_what_a_profile_leaves_out(values: dict[str, Any], tmp_path: Path) -> None:
    without = {name: value for name, value in values.items() if name not in ("mspId", "peers", "orderers", "tlsRoots")}
    profile = write(tmp_path, json.dumps({**MINIFABRIC, "orderers": {}, "channels": {}}), {})
    given = {"orderers": ["orderer.example.com:7050"], "mspId": "org1-example-com", "tlsRoots": ORDERER_CA}
    described = without | given | {"connectionProfile": str(profile)}
    document = _document({"offchain": described}, connect=False)
    app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir=str(tmp_path / "cdk.out"))
    stack = OffChainStack(app, "Stack", settings=Settings.from_values(described))
    for environment in (
        document["environment"],
        stack.network.network_environment | stack.network.identities_environment,
    ):
        network = json.loads(environment["FABRIC_NETWORK"])
        assert network["orderers"] == [{"endpoint": "orderer.example.com:7050"}]
        assert certificates(network["tlsRoots"]) == certificates(PEER_CA + ORDERER_CA)
        assert json.loads(environment["FABRIC_IDENTITIES"])["mspId"] == "org1-example-com"
    assert document["settings"] == {
        "peers": "offchain.connectionProfile",
        "orderers": "offchain.orderers",
        "tlsRoots": "offchain.tlsRoots",
    }


def changed(path: str, value: object, of: dict[str, Any] = WITH_ORDERERS) -> str:
    """A profile in which the value at `path`, whose parts are separated by `/`, is another one."""
    profile = json.loads(json.dumps(of))
    *parents, last = path.split("/")
    place = profile
    for name in parents:
        place = place.setdefault(name, {})
    place[last] = value
    return json.dumps(profile)


PEER = "peers/peer0.org1.example.com"
IN_A_MESSAGE = "peers.peer0.org1.example.com"
REFUSED: dict[str, tuple[str | bytes, str]] = {
    "no orderers": (
        json.dumps(TEST_NETWORK),
        ': orderers is missing, and transactions are sent to one: add "orderers": {',
    ),
    "orderers in the channel alone": (
        changed("channels/mychannel", {"orderers": ["orderer.example.com"]}, TEST_NETWORK),
        ': orderers is missing, and transactions are sent to one: add "orderers": {',
    ),
    "several organisations": (
        json.dumps(MINIFABRIC),
        ": client.organization is missing, and there are several organizations, org0.example.com (org0-example-com), "
        'org1.example.com (org1-example-com), example.com (example-com): add "client": ',
    ),
    "another organisation": (
        changed("client/organization", "Org7"),
        ": client.organization names 'Org7', which is not in organizations; there is Org1",
    ),
    "no organisations": (changed("organizations", {}), ": organizations is missing or empty"),
    "organisations as a list": (changed("organizations", ["Org1"]), ': organizations must be an object, not ["Org1"]'),
    "an organisation as a text": (
        changed("organizations/Org1", "Org1MSP"),
        ': organizations.Org1 must be an object, not "Org1MSP"',
    ),
    "an MSP id as a number": (
        changed("organizations/Org1/mspid", 1),
        ": organizations.Org1.mspid must be a text, not 1",
    ),
    "no MSP id": (changed("organizations/Org1/mspid", ""), ": organizations.Org1.mspid is missing"),
    "its peers as a text": (
        changed("organizations/Org1/peers", "peer0"),
        ': organizations.Org1.peers must be a list, not "peer0"',
    ),
    "the client as a text": (changed("client", "Org1"), ': client must be an object, not "Org1"'),
    "no peers": (changed("peers", {}), ": peers is missing or empty"),
    "peers as a list": (changed("peers", [{"url": "grpcs://a:1"}]), ": peers must be an object, not ["),
    "a peer as a text": (changed(PEER, "grpcs://a:1"), f": {IN_A_MESSAGE} must be an object, not "),
    "channels as a list": (changed("channels", ["mychannel"]), ": channels must be an object, not "),
    "another channel": (
        changed("channels", {"yours": {}, "theirs": {}}),
        ": channels.mychannel is missing; there is yours, theirs",
    ),
    "a channel as a list": (changed("channels/mychannel", ["peer0"]), ": channels.mychannel must be an object, not "),
    "the channel's peers as a text": (
        changed("channels/mychannel/peers", "peer0 peer1"),
        ': channels.mychannel.peers must be a list, not "peer0 peer1"',
    ),
    "the channel's orderers as a text": (
        changed("channels/mychannel/orderers", "orderer0 orderer1"),
        ': channels.mychannel.orderers must be a list, not "orderer0 orderer1"',
    ),
    "a peer that is not there": (
        changed("channels/mychannel/peers", ["peer9"]),
        ": channels.mychannel.peers[0] names 'peer9', which is not in peers; there is peer0.org1.example.com",
    ),
    "a peer as a number": (changed("channels/mychannel/peers", [7]), ": channels.mychannel.peers[0] must be an object"),
    "an orderer that is not there": (
        changed("channels/mychannel/orderers", ["orderer9"]),
        ": channels.mychannel.orderers[0] names 'orderer9', which is not in orderers; there is orderer.example.com",
    ),
    "no endorsing peer": (
        changed("channels/mychannel/peers", {"peer0.org1.example.com": {"endorsingPeer": False}}),
        ": channels has no endorsing peer for mychannel: set endorsingPeer of one to true",
    ),
    "a role as a text": (
        changed("channels/mychannel/peers", {"peer0.org1.example.com": {"endorsingPeer": "yes"}}),
        ': channels.mychannel.peers.peer0.org1.example.com.endorsingPeer must be true or false, not "yes"',
    ),
    "no address": (changed(f"{PEER}/url", None), f": {IN_A_MESSAGE}.url is missing: give an address such as grpcs://"),
    "an address as a number": (changed(f"{PEER}/url", 7051), f": {IN_A_MESSAGE}.url must be a text, not 7051"),
    "an address without a port": (
        changed(f"{PEER}/url", "grpcs://localhost"),
        f': {IN_A_MESSAGE}.url is no address such as grpcs://host:7051, but "grpcs://localhost"',
    ),
    "an address of the web": (
        changed(f"{PEER}/url", "https://localhost:7051"),
        f": {IN_A_MESSAGE}.url is no address such as grpcs://host:7051, but ",
    ),
    "an address of IPv6": (changed(f"{PEER}/url", "grpcs://[::1]:7051"), f": {IN_A_MESSAGE}.url is no address"),
    "without TLS, as Microfab's by default": (
        changed(f"{PEER}/url", "grpc://localhost:7051"),
        f": {IN_A_MESSAGE}.url is without TLS, and the functions speak only TLS: turn it on at the node, and give grpcs://",
    ),
    "without TLS, as the SDK for Go has it": (
        changed(PEER, node("localhost:7051", PEER_CA, **{"allow-insecure": True})),
        f": {IN_A_MESSAGE}.url is without TLS",
    ),
    "options as a list": (
        changed(f"{PEER}/grpcOptions", ["ssl-target-name-override"]),
        f": {IN_A_MESSAGE}.grpcOptions must be an object, not ",
    ),
    "a name as a number": (
        changed(f"{PEER}/grpcOptions", {"hostnameOverride": 7}),
        f": {IN_A_MESSAGE}.grpcOptions.hostnameOverride must be a text, not 7",
    ),
    "a name that is an address": (
        changed(f"{PEER}/grpcOptions", {"grpc.ssl_target_name_override": "grpcs://peer0"}),
        f': {IN_A_MESSAGE}.grpcOptions.grpc.ssl_target_name_override is no host\'s name, but "grpcs://peer0"',
    ),
    "no certificates": (changed(f"{PEER}/tlsCACerts", {}), f": {IN_A_MESSAGE}.tlsCACerts has no certificate"),
    "certificates as a text": (
        changed(f"{PEER}/tlsCACerts", "tls/ca.pem"),
        f': {IN_A_MESSAGE}.tlsCACerts must be an object, not "tls/ca.pem"',
    ),
    "a certificate as a number": (
        changed(f"{PEER}/tlsCACerts", {"pem": 7}),
        f": {IN_A_MESSAGE}.tlsCACerts.pem must be a text, not 7",
    ),
    "certificates that are none": (
        changed(f"{PEER}/tlsCACerts", {"pem": ["-----BEGIN CERTIFICATE----- <etc>"]}),
        f": {IN_A_MESSAGE}.tlsCACerts holds damaged PEM",
    ),
    "a private key": (
        changed(f"{PEER}/tlsCACerts", {"pem": AUTHORITY.issue("a")[1]}),
        f": {IN_A_MESSAGE}.tlsCACerts holds a private key",
    ),
    "no file": (
        changed(f"{PEER}/tlsCACerts", {"path": "none/ca.pem"}),
        f": {IN_A_MESSAGE}.tlsCACerts.path cannot be read: ",
    ),
    "a folder": (changed(f"{PEER}/tlsCACerts", {"path": "."}), f": {IN_A_MESSAGE}.tlsCACerts.path cannot be read: "),
    "no file name": (
        changed(f"{PEER}/tlsCACerts", {"path": "a\0b"}),
        f": {IN_A_MESSAGE}.tlsCACerts.path cannot be read: ",
    ),
    "a variable that is not set": (
        changed(f"{PEER}/tlsCACerts", {"path": "${GO_PATH_OF_NOBODY}/ca.pem"}),
        "; ${GO_PATH_OF_NOBODY} is not set in this environment",
    ),
    "a list of components, as Microfab's console answers": (
        json.dumps([MICROFAB]),
        " is a list, not a connection profile, which is an object with organizations, peers and orderers",
    ),
    "a text": ("connection-org1.json", " is a text, not a connection profile"),
    "nothing": ("", " is empty, not a connection profile"),
    "one node, as IBM's console exports it": (
        json.dumps({"display_name": "Peer", "type": "fabric-peer", "api_url": "grpcs://10.0.0.8:32001"}),
        ": peers is missing or empty",
    ),
    "the same peer twice": (
        "peers:\n  a: {}\n  a: {}\n",
        " has the key 'a' twice; leave one of them out (line 3, column 3)",
    ),
    "no end": ('{"name": "test', " is neither JSON nor YAML: while "),
    "a placeholder of documentation": (
        changed(f"{PEER}/tlsCACerts", {"pem": "<byte string>"}),
        f": {IN_A_MESSAGE}.tlsCACerts holds a text that is no PEM",
    ),
    "tabs and spaces": ("peers:\n  a:\n\t\turl: b\n", " is neither JSON nor YAML: while scanning for the next token"),
    "two documents": ("a: 1\n---\nb: 2\n", " is neither JSON nor YAML: expected a single document"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0", " is not text in UTF-8: "),
    "too deep": ("[" * 100_000, " is nested too deeply"),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize(("text", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_one_line_that_names_file_and_field(
    text: str | bytes, says: str, read: Read, tmp_path: Path
) -> None:
    profile = write(tmp_path, text, {})
    with pytest.raises((ConnectionProfileError, SandboxError)) as refusal:
        read(profile, Sample(text=text, peers=()))
    message = str(refusal.value)
    assert message.startswith(f"{profile}{says}" if not says.startswith("; ") else f"{profile}: ")
    assert says in message
    assert message.count("\n") == 0
    assert "PRIVATE KEY-----" not in message


@pytest.mark.parametrize(
    ("text", "beside", "says"),
    [
        (
            json.dumps(WITH_ORDERERS),
            {"orderers": [Endpoint(address="a:1")]},
            ": orderers is there, and orderers are given",
        ),
        (json.dumps(WITH_ORDERERS), {"msp_id": "Org2MSP"}, ": organizations.Org1.mspid is Org1MSP, and mspId beside"),
        (
            json.dumps(MINIFABRIC),
            {"msp_id": "Org9MSP"},
            ": organizations has none with the MSP id Org9MSP; there is org0",
        ),
    ],
    ids=["orderers", "MSP id", "no such MSP id"],
)
def test_what_is_given_beside_a_profile_does_not_contradict_it(
    text: str, beside: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(ConnectionProfileError) as refusal:
        ConnectionProfile.read(write(tmp_path, text, {}), channel="mychannel", **beside)
    assert str(refusal.value).startswith(f"{tmp_path / 'profile'}{says}")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything in a value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in entries for found in places(each, (*path, key)))]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), value=ANYTHING)
def test_anything_in_any_place_is_read_or_refused_in_one_line(
    tmp_path: Path, data: st.DataObject, value: object
) -> None:
    profile = json.loads(
        json.dumps(WITH_ORDERERS | {"channels": {"mychannel": {"peers": {"peer0.org1.example.com": {}}}}})
    )
    *parents, last = data.draw(st.sampled_from([path for path in places(profile) if path]))
    place: Any = profile
    for name in parents:
        place = place[name]
    place[last] = value
    file = write(tmp_path, json.dumps(profile), {})
    refusals = []
    try:
        ConnectionProfile.read(file, channel="mychannel")
    except ConnectionProfileError as refusal:
        refusals.append(str(refusal))
    assert all(each.startswith(str(file)) and len(each.splitlines()) == 1 for each in refusals)
