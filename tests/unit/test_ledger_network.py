"""The settings of the Fabric network."""

import json
from typing import Any

import pytest
from shared.ledger.network import Endpoint, Network

SETTINGS: dict[str, Any] = {
    "channel": "mychannel",
    "chaincode": "ngo",
    "peers": [{"endpoint": "peer0:7051", "tlsHostname": "localhost"}, {"endpoint": "peer1:7051"}],
    "orderers": [{"endpoint": "orderer:7050"}],
    "tlsRoots": "-----BEGIN CERTIFICATE-----",
    "endorsements": 2,
}


def never(bucket: str, key: str) -> str:
    raise AssertionError


def test_settings_with_their_own_roots() -> None:
    network = Network.from_json(json.dumps(SETTINGS), never)
    assert network.peers == (
        Endpoint(address="peer0:7051", tls_hostname="localhost"),
        Endpoint(address="peer1:7051"),
    )
    assert (network.endorsements, network.tls_roots) == (2, "-----BEGIN CERTIFICATE-----")


def test_roots_from_s3() -> None:
    settings = {**SETTINGS, "tlsRoots": "s3://us-east-1.managedblockchain/etc/managedblockchain-tls-chain.pem"}
    network = Network.from_json(json.dumps(settings), lambda bucket, key: f"{bucket} {key}")
    assert network.tls_roots == "us-east-1.managedblockchain etc/managedblockchain-tls-chain.pem"


def test_settings_of_earlier_releases_follow_the_policy() -> None:
    assert Network.from_json(json.dumps(SETTINGS), never).endorsing_organizations is None


def test_organizations() -> None:
    peers = [{"endpoint": "peer0:7051", "mspId": "Org1MSP"}, {"endpoint": "peer1:7051"}]
    network = Network.from_json(
        json.dumps({**SETTINGS, "peers": peers, "endorsingOrganizations": ["Org1MSP", "Org2MSP"]}), never
    )
    assert [peer.msp_id for peer in network.peers] == ["Org1MSP", None]
    assert network.endorsing_organizations == ("Org1MSP", "Org2MSP")
    assert Network.from_json(json.dumps({**SETTINGS, "endorsingOrganizations": 2}), never).endorsing_organizations == 2


@pytest.mark.parametrize(
    "change",
    [
        {"peers": []},
        {"orderers": []},
        {"endorsements": 0},
        {"endorsements": 3},
        {"endorsingOrganizations": 0},
        {"endorsingOrganizations": 3},
        {"endorsingOrganizations": []},
        {"endorsingOrganizations": ["Org1MSP", "Org2MSP", "Org3MSP"]},
    ],
)
def test_settings_that_cannot_work(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        Network.from_json(json.dumps({**SETTINGS, **change}), never)
