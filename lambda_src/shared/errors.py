"""The errors the functions raise, each with what it makes certain about the ledger.

Step Functions takes the class name as the error's name and `str(error)` as `errorMessage` inside its cause, so that
`str(error)` is a JSON object: `message` for the caller, and `transactionId` where there is one.
"""

import functools
import json
from collections.abc import Mapping


class OffchainError(Exception):
    """A refusal with a text that the caller may read.

    `message` says what is wrong and how to mend it: no internal names, addresses or stack, and nothing that a request
    or a record holds, for Lambda's runtime logs the text of every error that a function raises. It names a field and
    does not repeat its value. `transaction_id` is 64 hex digits. `details` are further fields of the answer, for
    programs. `certain` is True where this execution can say that the ledger will never refer to its object.
    """

    certain = False

    def __init__(
        self,
        message: str,
        *,
        transaction_id: str | None = None,
        details: Mapping[str, str | int | bool] | None = None,
    ) -> None:
        self.message = message
        self.transaction_id = transaction_id
        self.details = dict(details or {})
        identified = {"transactionId": transaction_id} if transaction_id else {}
        super().__init__(json.dumps({"message": message} | identified | self.details))


class InvalidRequest(OffchainError):
    """A field is missing, wrong or unknown; nothing was written."""

    certain = True


class InvalidData(OffchainError):
    """The data is not base64, empty, or of no allowed type; nothing was written."""

    certain = True


class DataTooLarge(OffchainError):
    """The data is over the inline limit; nothing was written."""

    certain = True


class Forbidden(OffchainError):
    """The deployment does not allow this Fabric user; nothing was written."""

    certain = True


class StorageUnavailable(OffchainError):
    """S3 did not confirm a write (the object may exist; nothing was sent to the ledger), or could not be read."""


class RecordNotFound(OffchainError):
    """The peers that answered have no record under this identifier."""


class RecordUnreadable(OffchainError):
    """The ledger's answer is not what the chaincode is expected to return."""


class ObjectTampered(OffchainError):
    """The newest version of the object is not what the ledger proves. `versionId` in `details` names one that is."""


class ObjectMissing(OffchainError):
    """The store has no object for the record. `details`: `versions` that remain, `deleteMarker`, and `versionId` of one
    that the ledger proves."""


class ChaincodeRejected(OffchainError):
    """The chaincode refused the arguments; nothing was ordered."""

    certain = True


class RecordAlreadyExists(OffchainError):
    """The ledger holds a record under this identifier that is not this submission's."""

    certain = True


class IdempotencyKeyReused(InvalidRequest):
    """The ledger holds a transaction of this idempotency key with another content."""


class EndorsementFailed(OffchainError):
    """The peers did not endorse or did not agree; nothing was ordered."""

    certain = True


class TransactionInvalid(OffchainError):
    """The transaction was ordered and committed as invalid: it changed nothing and its id is used up."""

    certain = True


class LedgerUnavailable(OffchainError):
    """Nothing was ordered because no peer, no orderer or no identity could be reached; safe to try again."""

    certain = True


class OutcomeUnknown(OffchainError):
    """The transaction was ordered, or may have been, and no verdict came in time."""


class InternalError(OffchainError):
    """The function failed in a way that has no other name. Where and by what is in its log."""


@functools.cache
def named(base: type[OffchainError], name: str) -> type[OffchainError]:
    """Return `base` under the public name that the record type gives it, such as `DonorAlreadyExists`."""
    return base if base.__name__ == name else type(name, (base,), {"__doc__": base.__doc__})
