"""What the ledger says of one object version, made final where it is still open."""

import enum
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared import submission
from shared.errors import LedgerUnavailable, OffchainError, OutcomeUnknown
from shared.identities import Identities, Identity
from shared.ledger.interface import CreatedRecord, Ledger
from shared.ledger.records import read_call
from shared.observability import logger
from shared.record_type import RecordType


class Verdict(enum.Enum):
    """COMMITTED: the ledger refers to the object. DEAD: it does not and never will. OPEN: that cannot be said now."""

    COMMITTED = "committed"
    DEAD = "dead"
    OPEN = "open"


@dataclass(frozen=True, kw_only=True)
class StoredSubmission:
    """What an object's key and metadata tell of its submission.

    `identifier` is the record's. `transaction_ids` are all under which it may have been ordered. `nonces` are those of
    its own, in the order in which they may be used.
    """

    key: str
    identifier: str
    fabric_username: str
    nonces: tuple[bytes, ...]
    transaction_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Asks the ledger. `retire` False is for a dry run: nothing is ordered, and DEAD then means "may be made so"."""

    ledger: Ledger
    identities: Identities
    record_type: RecordType
    retire: bool
    _used_up: set[str] = field(default_factory=set, init=False)
    """Ids that this judge used up. Every execution that it judges had ended before, and so did not go on from there."""

    def judge(self, stored: StoredSubmission, *, old: bool, deadline: float) -> Verdict:
        """The verdict on one object, by `deadline` (a `time.monotonic()` value).

        A transaction that the ledger does not have may still lie in an orderer. So that it can no longer commit, its id
        is used up first: an envelope without endorsements is ordered under it, which Fabric marks invalid, and every
        later one under that id as a duplicate. That needs the identity that planned the transaction. Where it has
        changed since, only `old` objects are dead: Fabric itself drops no envelope by age, so this assumes that no
        orderer holds one for so long.
        """
        try:
            identity = self.identities.identity(stored.fabric_username)
            with self.identities.forget_if_denied(stored.fabric_username):
                if self._is_committed(identity, stored, deadline):
                    return Verdict.COMMITTED
                if not self._is_retired(identity, stored, old, deadline):
                    return Verdict.OPEN
                # What came before the retirement, if anything, is visible now.
                return Verdict.COMMITTED if self._is_committed(identity, stored, deadline) else Verdict.DEAD
        except (LedgerUnavailable, OutcomeUnknown) as error:
            logger.warning("The ledger gave no verdict", extra={"key": stored.key, "error": error.message})
        except OffchainError as error:
            logger.error("The ledger could not be asked", extra={"key": stored.key, "error": error.message})
        return Verdict.OPEN

    def _is_committed(self, identity: Identity, stored: StoredSubmission, deadline: float) -> bool:
        for transaction_id in stored.transaction_ids:
            found = self.ledger.find(identity, transaction_id, deadline=deadline)
            if found and found.code == "VALID" and found.carries(self.record_type.key_field, stored.key):
                return True
        record = CreatedRecord(
            read=read_call(self.record_type, stored.identifier), required={self.record_type.key_field: stored.key}
        )
        return self.ledger.has_record(identity, record, deadline=deadline)

    def _is_retired(self, identity: Identity, stored: StoredSubmission, old: bool, deadline: float) -> bool:
        """Whether none of the submission's transactions can still commit; makes it so where it may."""
        creator = submission.creator(identity.msp_id, identity.certificate)
        retirable = {submission.transaction_id(nonce, creator): nonce for nonce in stored.nonces}
        foreign: Sequence[str] = [tx for tx in stored.transaction_ids if tx not in retirable]
        if any(self.ledger.find(identity, tx, deadline=deadline) is None for tx in foreign) and not old:
            return False
        for transaction_id, nonce in retirable.items():
            if time.monotonic() >= deadline:
                return False
            # A nonce is used only after the one before it is used up, so that none follows the first unused one. The
            # others are spared: a later retry of the submission needs them.
            if transaction_id in self._used_up:
                return True
            if self.ledger.find(identity, transaction_id, deadline=deadline) is None:
                if self.retire:
                    self.ledger.retire(identity, nonce, stored.key, deadline=deadline)
                    self._used_up.add(transaction_id)
                return True
        return True
