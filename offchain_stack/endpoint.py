"""Where a node of a Fabric network is."""

import re
from dataclasses import dataclass

import aws_cdk as cdk


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A peer or an orderer: `address` is `host:port`; `tls_hostname` is the name in its TLS certificate where that
    differs from the host. `deploy_time_port` is the port as a number token where the address is a token, known only at
    deploy time. Raises ValueError for an address of another form."""

    address: str
    tls_hostname: str | None = None
    deploy_time_port: float | None = None

    def __post_init__(self) -> None:
        if self.deploy_time_port is not None:
            return
        if cdk.Token.is_unresolved(self.address):
            raise ValueError(f"{self.address}: an address that is a token needs its deploy_time_port")
        host, _, port = self.address.rpartition(":")
        if not (re.fullmatch(r"[A-Za-z0-9.-]+", host) and port.isdecimal() and 0 < int(port) < 65_536):
            raise ValueError(f"{self.address!r} is not host:port, such as 'peer0.org1.example.com:7051'")

    @property
    def port(self) -> float:
        """The TCP port, perhaps as a token."""
        if self.deploy_time_port is not None:
            return self.deploy_time_port
        return int(self.address.rpartition(":")[2])

    def to_environment(self) -> dict[str, str]:
        """As the functions read it."""
        hostname = {"tlsHostname": self.tls_hostname} if self.tls_hostname else {}
        return {"endpoint": self.address} | hostname
