"""What the rest of the product sees of a ledger. Another transport or message set can stand in behind it."""

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .. import errors
from ..identity import Identity


@dataclass(frozen=True, kw_only=True)
class Call:
    """A chaincode function and its text arguments."""

    function: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CreatedRecord:
    """How to recognise the record that a create call writes.

    `read` returns the record under the same identifier as a JSON object. It is this submission's where all of
    `required` and those of `where_present` that it holds are equal; nobody's known where `required` is empty.
    `already_exists` makes the error that says that the record is another's.
    """

    read: Call
    required: Mapping[str, str]
    where_present: Mapping[str, str] = field(default_factory=dict)
    already_exists: Callable[[str], errors.OffchainError] = errors.RecordAlreadyExists


@dataclass(frozen=True, kw_only=True)
class Submit:
    """One transaction to submit, with all that makes a repeated attempt the same one.

    `nonces`: 24 bytes each, with which the submission's `series` begins. The first one is used; the next one only after
    the ledger has kept the transaction of the one before as invalid. If there are none, the ledger is only asked about
    `earlier_transaction_ids` and the record.
    `first_attempt`: no earlier attempt of this submission can have reached an orderer. Only then is a failure to
    endorse or to order certain.
    `earlier_transaction_ids`: ids under which earlier attempts may have ordered it, besides those of `nonces`.
    `created_record`: for a create call, how to recognise its record; decides what "already exists" means.
    `caller_named`: a caller chose the name that the nonces derive from, so that another content may come under the same
    transaction ids; a commit event is then no proof of this one, and the transaction is read from the ledger.
    """

    call: Call
    nonces: Sequence[bytes]
    first_attempt: bool
    earlier_transaction_ids: Sequence[str] = ()
    created_record: CreatedRecord | None = None
    caller_named: bool = True


@dataclass(frozen=True, kw_only=True)
class Committed:
    """The transaction is on the ledger as VALID. `transaction_id` is 64 hex digits. It is None if the record is this
    submission's, but none of the ids known for it could be found on the ledger. `result` is what the chaincode
    returned, or empty if another attempt committed it."""

    transaction_id: str | None
    result: bytes = b""


@dataclass(frozen=True, kw_only=True)
class FoundTransaction:
    """A transaction on the ledger. `code` is Fabric's name of its validation code, such as VALID."""

    transaction_id: str
    code: str
    chaincode: str
    function: str
    arguments: tuple[bytes, ...]

    def carries(self, name: str, value: str) -> bool:
        """Whether one of its arguments is a JSON object with `value` under `name`."""
        try:
            arguments = [json.loads(argument) for argument in self.arguments]
        except (ValueError, RecursionError):
            return False
        return any(isinstance(argument, dict) and argument.get(name) == value for argument in arguments)


@dataclass(frozen=True, kw_only=True)
class TransactionStatus:
    """Where and how a transaction is on the ledger. `code` is Fabric's name of its validation code, such as VALID.
    `timestamp` is what its submitter claims, since Fabric's blocks carry no time; None where that is no time."""

    transaction_id: str
    code: str
    block_number: int
    timestamp: datetime.datetime | None


class Ledger(Protocol):
    """A channel and a chaincode. Each `deadline` is a `time.monotonic()` value by which the method has returned."""

    def submit(self, identity: Identity, request: Submit, *, deadline: float) -> Committed:
        """Endorse, order and wait for the verdict.

        Raises, all from `shared.errors`: ChaincodeRejected, RecordAlreadyExists, EndorsementFailed,
        TransactionInvalid, LedgerUnavailable and IdempotencyKeyReused, which are certain; OutcomeUnknown with the
        transaction id, which is not.
        """
        ...

    def evaluate(self, identity: Identity, call: Call, *, deadline: float, patience: float | None = None) -> bytes:
        """Run `call` at one peer and return its result; nothing is ordered. `patience`: seconds to wait for a peer
        before the next one is asked, where more than usual are needed; at most its share of the time to `deadline`.
        Raises ChaincodeRejected, EndorsementFailed or LedgerUnavailable."""
        ...

    def read(self, identity: Identity, call: Call, *, deadline: float) -> bytes | None:
        """Run a query at one peer after the other until one returns something; None where the chaincode returned
        nothing or refused at each peer that answered, as it does for a record that is not there. (A peer may lag behind
        the one that told of a commit.) Raises EndorsementFailed, or LedgerUnavailable where no peer answered."""
        ...

    def status(self, identity: Identity, transaction_id: str, *, deadline: float) -> TransactionStatus | None:
        """Where the transaction is on the ledger, or None. None and what is raised mean the same as in `find`."""
        ...

    def find(
        self, identity: Identity, transaction_id: str, *, deadline: float, after: str | None = None
    ) -> FoundTransaction | None:
        """The transaction as the ledger has it, or None if the peers that answered do not have it: it may still commit
        later. `after`: the id of a transaction that is on the ledger; a peer that does not have it lags behind, and its
        "not found" does not count. Raises EndorsementFailed if the identity cannot sign or the peers deny it, and
        LedgerUnavailable if no peer gave an answer that counts."""
        ...

    def has_record(
        self, identity: Identity, record: CreatedRecord, *, deadline: float, after: str | None = None
    ) -> bool:
        """Whether a peer has the record that `record` describes. False if the peers that answered have none or
        another's. `after`, and what is raised: as in `find`. Without `after` a peer that lags may not have it yet."""
        ...

    def retire(self, identity: Identity, nonce: bytes, note: str, *, deadline: float) -> FoundTransaction | None:
        """Use up the transaction id of `nonce`, so that nothing ordered under it from then on can be valid: a
        transaction without endorsements, with `note` as its argument, is ordered under it.

        Returns None once this call has used the id up, before which the ledger had nothing under it. Returns the
        transaction under the id if the ledger had one before; only that one's code then counts. A later attempt of the
        same submission goes on with the next nonce. Raises EndorsementFailed, LedgerUnavailable or OutcomeUnknown; the
        id then may or may not be used up."""
        ...

    def close(self) -> None:
        """Close the connections. The ledger cannot be used afterwards."""
        ...
