"""Where the settings put the functions, and by which endpoints they reach what they need."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where and how the settings put the functions.

    * `subnets`: each with its zone and route table; empty if they are looked up at synth.
    * `s3`, `secrets`, `fabric`: the endpoints: "create", "keep", or `{"id", "securityGroupId"}`; `fabric` is None where
      the nodes are not on Managed Blockchain.
    * `groups`: security groups of the functions; empty if they are made.
    * `interfaces`: how many network interfaces the functions have in each subnet.
    """

    vpc_id: str
    stack: str
    subnets: tuple[Mapping[str, str], ...]
    s3: str
    secrets: str | Mapping[str, str]
    fabric: str | Mapping[str, str] | None
    groups: tuple[str, ...]
    interfaces: int
    dns_servers: tuple[str, ...]
    prefix_list: str | None

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "Placement":
        """Of what `offchain_stack` writes."""
        return cls(
            vpc_id=values["id"],
            stack=values["stack"],
            subnets=tuple(values["subnets"] or ()),
            s3=values["s3Endpoint"],
            secrets=values["secretsManagerEndpoint"],
            fabric=values["fabricEndpoint"],
            groups=tuple(values["securityGroups"] or ()),
            interfaces=values["interfaces"],
            dns_servers=tuple(values["dnsServers"] or ()),
            prefix_list=values["prefixList"],
        )
