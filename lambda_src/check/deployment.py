"""The deployment that is examined."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.record_type import RecordType

from .placement import Placement

REGION = "${AWS::Region}"
"""Stands in the network's settings for the region, which only the credentials may tell."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """* `network`: the object of the functions' `FABRIC_NETWORK`, perhaps with REGION in it.
    * `msp_id`, `users`: those of `FABRIC_IDENTITIES`.
    * `settings`: under "peers", "orderers" and "tlsRoots" the setting that each comes from.
    * `look_up`: the properties by which `look_up_network` finds the endpoints on Managed Blockchain, in place of those
      in `network`; None elsewhere.
    * `account`, `region`: those to deploy to, where the settings name them; `bucket`: one that is there already.
    * `keys`: ARNs of KMS keys by the setting that names them.
    * `placement`: where the functions are put; None if the VPC is not examined.
    * `alarm_topic`: ARN of the topic that alarms are sent to, if there is one.
    * `connect`: whether peers and orderers are reached, too.
    * `runs_here`: whether the functions run on this machine, and reach what is reached from here: the sandbox's do.
    """

    network: dict[str, Any]
    msp_id: str
    users: Mapping[str, Mapping[str, str]]
    record_types: tuple[RecordType, ...]
    settings: Mapping[str, str]
    look_up: Mapping[str, Any] | None = None
    account: str | None = None
    region: str | None = None
    bucket: str | None = None
    keys: Mapping[str, str]
    placement: Placement | None = None
    alarm_topic: str | None = None
    connect: bool = False
    runs_here: bool = False

    @classmethod
    def from_json(cls, text: str) -> "Deployment":
        """Read the document that `offchain_stack` writes: `{"environment": {"FABRIC_NETWORK", "FABRIC_IDENTITIES"},
        "recordTypes", "settings", "lookUp", "account", "region", "bucket", "keys", "vpc"?, "alarmTopic"?,
        "connect", "runsHere"?}`, the environment as the functions would have it. Raises KeyError or ValueError if it is
        not such a document."""
        document: dict[str, Any] = json.loads(text)
        environment = document["environment"]
        identities = json.loads(environment["FABRIC_IDENTITIES"])
        return cls(
            network=json.loads(environment["FABRIC_NETWORK"]),
            msp_id=identities["mspId"],
            users=identities["users"],
            record_types=tuple(map(RecordType.from_json, document["recordTypes"])),
            settings=document["settings"],
            look_up=document["lookUp"],
            account=document["account"],
            region=document["region"],
            bucket=document["bucket"],
            keys=document["keys"],
            placement=Placement.from_values(document["vpc"]) if document.get("vpc") else None,
            alarm_topic=document.get("alarmTopic"),
            connect=document["connect"],
            runs_here=document.get("runsHere", False),
        )
