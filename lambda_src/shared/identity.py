"""A Fabric identity, apart from where it is kept: whoever only signs needs no AWS library."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Identity:
    """An X.509 identity: `certificate` and `private_key` are PEM texts."""

    msp_id: str
    certificate: str
    private_key: str = field(repr=False)
