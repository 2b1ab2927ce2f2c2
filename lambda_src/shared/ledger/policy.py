"""Which endorsements are enough: how many of which organisations must be among them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..identity import Identity
from . import messages

Organizations = Mapping[str, int]
"""A number of peers by the MSP id of their organisation."""


class Policy(Protocol):
    """Says whether endorsements are enough."""

    def ask(self, identity: Identity, wake: Callable[[], None], *, doubted: bool = False) -> None:
        """Find out what the policy is, if that is due; `doubted` if what was known of it cannot be met. `wake` is
        called, in another thread, when more is known."""

    @property
    def awaited_until(self) -> float:
        """Until when (monotonic) an answer is worth waiting for; in the past if none is under way."""

    def is_met_by(self, endorsers: Organizations) -> bool:
        """Whether these endorsers are enough, as far as it is known."""

    def describe(self) -> Mapping[str, Any]:
        """What it asks for, for the log."""

    def forget(self, refused: Organizations) -> None:
        """What was known of it has proved wrong: a transaction that these endorsed failed it."""


@dataclass(frozen=True, kw_only=True)
class ConfiguredPolicy:
    """The organisations that the deployment's settings ask for: so many, or these."""

    organizations: int | tuple[str, ...]

    def ask(self, identity: Identity, wake: Callable[[], None], *, doubted: bool = False) -> None:
        """Nothing is to be asked."""

    @property
    def awaited_until(self) -> float:
        return 0.0

    def is_met_by(self, endorsers: Organizations) -> bool:
        if isinstance(self.organizations, int):
            return len(endorsers) >= self.organizations
        return set(self.organizations) <= set(endorsers)

    def describe(self) -> Mapping[str, Any]:
        return {"endorsingOrganizations": self.organizations}

    def forget(self, refused: Organizations) -> None:
        """The settings stay as they are."""


def endorsers_of(answers: Iterable[messages.Answer]) -> Organizations:
    """How many different peers endorsed, by organisation. Two answers of one peer are one endorsement to Fabric."""
    return Counter(msp_id for _, msp_id in {(answer.endorser, answer.msp_id) for answer in answers})


def covers(there: Organizations, needed: Organizations) -> bool:
    """Whether there are as many peers of each organisation as needed."""
    return all(there.get(msp_id, 0) >= number for msp_id, number in needed.items())


def meets(endorsers: Organizations, layouts: Sequence[Organizations]) -> bool:
    """Whether one of the layouts is covered."""
    return any(covers(endorsers, layout) for layout in layouts)
