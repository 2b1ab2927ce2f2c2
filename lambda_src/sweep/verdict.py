"""What the ledger says of one object version, made final where it is still open."""

import enum
import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared import submission
from shared.errors import LedgerUnavailable, OffchainError, OutcomeUnknown
from shared.identities import Identities, Identity
from shared.ledger.interface import CreatedRecord, FoundTransaction, Ledger
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
    """What an object's key and metadata say of its submission.

    `identifier` is the record's. `nonces` are those with which the submission's series begins. `transaction_ids` are
    the ids of these nonces, and those that earlier executions of the submission planned with another certificate.
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

        A transaction that the ledger does not have may still be in an orderer. So that it can no longer commit, its id
        is used up first: an envelope without endorsements is ordered under it, which Fabric marks invalid, and every
        later one under that id as a duplicate. What the ledger then has under the id decides, not what a peer said
        before, which may lag behind.

        That needs the identity that planned the transactions. If the certificate has changed since, or the Fabric user
        is no longer configured, only `old` objects are dead: Fabric itself drops no envelope by age, so this assumes
        that no orderer holds one for so long.
        """
        user = stored.fabric_username
        if user not in self.identities.users:
            logger.warning("The Fabric user of an object is not configured", extra={"key": stored.key})
            user = self.identities.default_user
        try:
            identity = self.identities.identity(user)
            with self.identities.forget_if_denied(user):
                return self._judge(_Case(identity=identity, stored=stored, old=old, deadline=deadline))
        except (LedgerUnavailable, OutcomeUnknown) as error:
            logger.warning("The ledger gave no verdict", extra={"key": stored.key, "error": error.message})
        except OffchainError as error:
            logger.error("The ledger could not be asked", extra={"key": stored.key, "error": error.message})
        return Verdict.OPEN

    def _judge(self, case: "_Case") -> Verdict:
        if self._is_committed(case, case.stored.transaction_ids):
            return Verdict.COMMITTED
        if case.foreign and not case.old:
            return Verdict.OPEN
        last = self._use_up(case)
        if isinstance(last, Verdict):
            return last
        # A peer that has the last id has all that came before it.
        return Verdict.COMMITTED if self._is_committed(case, case.foreign, after=last) else Verdict.DEAD

    def _is_committed(self, case: "_Case", transaction_ids: Sequence[str], after: str | None = None) -> bool:
        """Whether the ledger refers to the object by one of these transactions or by the record as it stands."""
        for transaction_id in transaction_ids:
            found = self.ledger.find(case.identity, transaction_id, deadline=case.deadline, after=after)
            if found and self._names(found, case.stored):
                return True
        record = CreatedRecord(
            read=read_call(self.record_type, case.stored.identifier),
            required={self.record_type.key_field: case.stored.key},
        )
        return self.ledger.has_record(case.identity, record, deadline=case.deadline, after=after)

    def _names(self, found: FoundTransaction, stored: StoredSubmission) -> bool:
        return found.code == "VALID" and found.carries(self.record_type.key_field, stored.key)

    def _use_up(self, case: "_Case") -> Verdict | str | None:
        """Make sure that none of the submission's transactions can commit any more.

        A nonce is used only after the one before it is used up, so that none follows the first unused one. The others
        are spared: a later retry of the submission needs them. Returns the last id that is used up (None in a dry run,
        where it would be), COMMITTED if a transaction names the object, or OPEN if the time does not suffice.
        """
        for nonce in submission.series(case.stored.nonces):
            if time.monotonic() >= case.deadline:
                return Verdict.OPEN
            transaction_id = submission.transaction_id(nonce, case.creator)
            if transaction_id in self._used_up:
                return transaction_id
            found = self.ledger.find(case.identity, transaction_id, deadline=case.deadline)
            if found is None:
                if not self.retire:
                    return None
                found = self.ledger.retire(case.identity, nonce, case.stored.key, deadline=case.deadline)
            if found is None:
                self._used_up.add(transaction_id)
                return transaction_id
            if self._names(found, case.stored):
                return Verdict.COMMITTED
            if found.code == "VALID":
                # Another content under the same name: no transaction of this series follows.
                return transaction_id
        return Verdict.OPEN


@dataclass(frozen=True, kw_only=True)
class _Case:
    """One object to judge, and the identity to ask and to order with."""

    identity: Identity
    stored: StoredSubmission
    old: bool
    deadline: float

    @functools.cached_property
    def creator(self) -> bytes:
        return submission.creator(self.identity.msp_id, self.identity.certificate)

    @functools.cached_property
    def foreign(self) -> tuple[str, ...]:
        """The ids that another identity planned, and that this one cannot use up."""
        own = {submission.transaction_id(nonce, self.creator) for nonce in self.stored.nonces}
        return tuple(tx for tx in self.stored.transaction_ids if tx not in own)
