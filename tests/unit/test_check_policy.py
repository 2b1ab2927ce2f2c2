"""The settings held against the chaincode's endorsement policy, on the Fabric emulation."""

from typing import Any

import pytest
from check.deployment import Deployment

from tests.unit.test_check import deployment, lines
from tests.unit.test_ledger_organizations import (
    BOTH,
    EITHER,
    MAJORITY,
    ONE_OF_ORG1,
    ORG1_AND_ANOTHER,
    TWO_OF_ORG1,
    Channel,
    channel,
    channel_of_module,
    switch_off,
    unlink,
)

__all__ = ["channel", "channel_of_module", "deployment"]

SETTING = "offchain.endorsingOrganizations"


@pytest.fixture
def fabric(channel: Channel) -> Channel:
    return channel


def about(deployment: Deployment, channel: Channel, *organizations: int, **changes: Any) -> list[str]:
    """What is found about the policy if the peers of these organisations are configured."""
    told = {endpoint.address for endpoint in channel.endpoints(*organizations)}
    peers = [peer for peer in deployment.network["peers"] if peer["endpoint"] in told]
    found = lines(deployment, network=deployment.network | {"peers": peers} | changes, connect=True)
    return [line for line in found if SETTING in line]


def test_a_policy_that_is_followed(deployment: Deployment, channel: Channel) -> None:
    channel.emulation.change_policy(BOTH)
    assert about(deployment, channel, 1, 2) == [
        f"ok       {SETTING}: the chaincode's endorsement policy is met by 1 of Org1MSP and 1 of Org2MSP, and there "
        "are such peers."
    ]


@pytest.mark.parametrize(
    ("policy", "organizations", "setting", "endorsements"),
    [
        (BOTH, (1, 2), 2, 1),
        (BOTH, (1, 2), ["Org1MSP", "Org2MSP"], 1),
        (EITHER, (1, 2), 1, 1),
        (MAJORITY, (1, 2, 3), 2, 1),
        (TWO_OF_ORG1, (1,), 1, 2),
        (ONE_OF_ORG1, (1,), ["Org1MSP"], 1),
    ],
)
def test_a_setting_that_fits(
    deployment: Deployment, channel: Channel, policy: str, organizations: Any, setting: Any, endorsements: int
) -> None:
    channel.emulation.change_policy(policy)
    asked = {"endorsingOrganizations": setting, "endorsements": endorsements}
    found = about(deployment, channel, *organizations, **asked)
    assert found[1:] == [f"ok       {SETTING}: asks for what the chaincode's endorsement policy asks for."]


@pytest.mark.parametrize(
    ("policy", "organizations", "setting", "enough"),
    [
        (BOTH, (1, 2), 1, "1 of Org1MSP"),
        (BOTH, (1, 2), ["Org2MSP"], "1 of Org2MSP"),
        (BOTH, (1, 2, 3), 2, "1 of Org1MSP and 1 of Org3MSP"),
        (EITHER, (1, 2, 3), 1, "1 of Org3MSP"),
        (MAJORITY, (1, 2, 3), 1, "1 of Org1MSP"),
        (ORG1_AND_ANOTHER, (1, 2, 3), 2, "1 of Org2MSP and 1 of Org3MSP"),
        (TWO_OF_ORG1, (1, 2), 2, "1 of Org1MSP and 1 of Org2MSP"),
    ],
)
def test_a_setting_that_asks_for_too_little(
    deployment: Deployment, channel: Channel, policy: str, organizations: Any, setting: Any, enough: str
) -> None:
    channel.emulation.change_policy(policy)
    found = about(deployment, channel, *organizations, endorsingOrganizations=setting)
    assert found[1].startswith(
        f"ERROR    {SETTING}: asks for less than the chaincode's endorsement policy: {enough} would be enough for it"
    )
    assert found[1].endswith("Leave it out, so that the policy is followed, or ask for more.")


@pytest.mark.parametrize(
    ("policy", "organizations", "setting"),
    [(EITHER, (1, 2), 2), (MAJORITY, (1, 2, 3), 3), (EITHER, (1, 2), ["Org1MSP"])],
)
def test_a_setting_that_asks_for_more(
    deployment: Deployment, channel: Channel, policy: str, organizations: Any, setting: Any
) -> None:
    channel.emulation.change_policy(policy)
    found = about(deployment, channel, *organizations, endorsingOrganizations=setting)
    assert found[1].startswith(
        f"warning  {SETTING}: asks for more than the chaincode's endorsement policy, which is met"
    )


@pytest.mark.parametrize("setting", [2, ["Org2MSP"]])
def test_a_setting_that_the_peers_cannot_meet(deployment: Deployment, channel: Channel, setting: Any) -> None:
    channel.emulation.change_policy(ONE_OF_ORG1)
    found = about(deployment, channel, 1, endorsingOrganizations=setting)
    assert found[1].startswith(f"ERROR    {SETTING}: the peers are 2 of Org1MSP, which is not enough for it.")


@pytest.mark.parametrize("setting", [{}, {"endorsingOrganizations": 1}])
def test_an_organization_that_is_not_configured(
    deployment: Deployment, channel: Channel, setting: dict[str, Any]
) -> None:
    channel.emulation.change_policy(BOTH)
    (found,) = about(deployment, channel, 1, **setting)
    assert found.startswith(
        f"ERROR    {SETTING}: the chaincode's endorsement policy is met by 1 of Org1MSP and 1 of Org2"
    )
    assert "so that nothing can be ordered. What is missing: Org2MSP. Add a peer of each" in found


def test_peers_that_know_too_few_others(deployment: Deployment, channel: Channel) -> None:
    channel.emulation.change_policy(BOTH)
    unlink(channel)
    (found,) = about(deployment, channel, 1)
    assert found.startswith(f"ERROR    {SETTING}: the peers know only live peers of 2 of Org1MSP, and with them the")


@pytest.mark.parametrize("spoil", [switch_off, unlink])
def test_a_policy_that_no_peer_tells(deployment: Deployment, channel: Channel, spoil: Any) -> None:
    channel.emulation.change_policy(BOTH)
    spoil(channel)
    (found,) = about(deployment, channel, 1, 2)
    assert found.startswith(f"warning  {SETTING}: no peer tells the chaincode's endorsement policy (")
    assert "so that peers of Org1MSP and Org2MSP have to endorse, all of them. Turn service discovery on" in found
    (found,) = about(deployment, channel, 1, 2, endorsingOrganizations=2)
    assert found.startswith(f"skipped  {SETTING}: not held against the policy, for no peer tells")


def test_what_the_peers_say_is_not_enough(deployment: Deployment, channel: Channel) -> None:
    channel.emulation.change_policy(BOTH)
    unlink(channel)
    (found,) = about(deployment, channel, 1, 2, endorsingOrganizations=1)
    assert found.startswith(f"ERROR    {SETTING}: asks for less than the chaincode's endorsement policy: 1 of Org1MSP ")


def test_one_organization_needs_no_discovery(deployment: Deployment, channel: Channel) -> None:
    switch_off(channel)
    (found,) = about(deployment, channel, 1)
    assert found.startswith(f"skipped  {SETTING}: no peer tells")
    assert found.endswith("and a peer of Org1MSP has to endorse.")


def test_a_peer_that_is_not_reached(deployment: Deployment, channel: Channel) -> None:
    channel.peers_of(2)[0].kill()
    (found,) = about(deployment, channel, 1, 2)
    assert found == f"skipped  {SETTING}: not held against the chaincode's policy, for not all peers are reached."


def test_a_peer_of_another_organization_than_it_says(deployment: Deployment, channel: Channel) -> None:
    first, *others = deployment.network["peers"]
    told = deployment.network | {"peers": [first | {"mspId": "Org2MSP"}, *others]}
    found = lines(deployment, network=told, connect=True)
    assert (
        f"ERROR    offchain.peers {first['endpoint']}: is of Org1MSP, and not of Org2MSP. Write Org1MSP as its "
        in "".join(found)
    )
