"""From a request to a stored object and the plan of its transactions, without Lambda."""

from dataclasses import dataclass
from typing import Any

from shared.errors import LedgerUnavailable, OutcomeUnknown
from shared.identities import Identities
from shared.observability import identify
from shared.record_type import RecordType
from shared.submission import Submission, creator, transaction_id

from . import content_type, encoded_data, request
from .callers import Callers
from .object_writer import Content, Invocation, ObjectWriter


@dataclass(frozen=True, kw_only=True)
class Uploader:
    """`chaincode_functions` are those that a caller may name; a caller that names none gets the record type's own.
    `callers` says which Fabric user a caller acts as. `ledger` names the one that the records go to.
    `plan_transactions` False: whoever submits chooses transaction ids of its own, so that none can be known before."""

    record_type: RecordType
    identities: Identities
    chaincode_functions: tuple[str, ...]
    callers: Callers
    ledger: str
    plan_transactions: bool
    writer: ObjectWriter

    def upload(self, event: object, *, invocation_id: str) -> dict[str, Any]:
        """Check everything, then store the data as an object version that belongs to this invocation alone.

        `event` has `chaincodeFunctionArgs` (what the caller sent, of any shape), `submission` (`idempotencyKey`,
        `fabricUsername`, `functionType`, `chaincodeFunction`, `caller`; an absent or empty one is not given) and
        `executionId` (Step Functions' own; absent or empty in a direct call). `invocation_id` is Lambda's request id:
        it also names a submission that has neither an Idempotency-Key nor an `executionId`.

        Returns, for a donor: `imageKey`, `imageHash` (hex MD5), `imageSha256` (hex), `versionId`, `contentType`, `size`
        (bytes), `created` (False if another invocation for this submission was there before), `callerNamed` (by an
        Idempotency-Key), `submissionId`, `nonces` (hex), `transactionIds` (of those nonces and the identity's
        certificate), `earlierTransactionIds` (what other invocations planned, if it differs), `fabricUsername`,
        `chaincodeFunction`, `record` (fields as sent).

        Raises before anything is written: InvalidRequest, Forbidden, the record type's invalid-data and data-too-large
        errors (InvalidImage, ImageTooLarge), LedgerUnavailable (certificate unreadable), OutcomeUnknown (the same, and
        an earlier execution of the submission has left an object). Raises StorageUnavailable where S3 did not confirm
        the write.
        """
        asked = request.parse(event, self.record_type, self.chaincode_functions)
        username = self.callers.fabric_user(asked.caller, asked.fabric_username, self.identities.users)
        data, declared_type = encoded_data.decode(asked.data, self.record_type)
        media_type = content_type.determine(data, declared_type, self.record_type)
        content = Content(data=data, content_type=media_type.name)
        submission = Submission.of(
            record_type=self.record_type.name,
            execution_id=asked.execution_id or invocation_id,
            idempotency_key=asked.idempotency_key,
            fabric_username=username,
            chaincode_function=asked.chaincode_function,
            fields=asked.record,
            data_sha256=content.sha256,
        )
        identify(submissionId=submission.submission_id, executionId=asked.execution_id)
        identifier = asked.record[self.record_type.identifying_field]
        key = f"{self.record_type.key_prefix}{identifier}/{submission.submission_id}.{media_type.extension}"
        nonces, transaction_ids = self._plan(submission, username, key)
        if transaction_ids:
            identify(transactionId=transaction_ids[0])
        stored = self.writer.write(
            key=key,
            content=content,
            invocation=Invocation(
                request_id=invocation_id,
                execution_id=asked.execution_id,
                submission_id=submission.submission_id,
                nonces=nonces,
                transaction_ids=transaction_ids,
                fabric_username=username,
                ledger=self.ledger,
                data_field=self.record_type.data_field,
            ),
        )
        return {
            self.record_type.key_field: key,
            self.record_type.hash_field: content.md5,
            self.record_type.sha256_field: content.sha256,
            "versionId": stored.version_id,
            "contentType": media_type.name,
            "size": len(data),
            "created": stored.created,
            "callerNamed": bool(asked.idempotency_key),
            "submissionId": submission.submission_id,
            "nonces": list(nonces),
            "transactionIds": list(stored.transaction_ids),
            "earlierTransactionIds": list(stored.earlier_transaction_ids),
            "fabricUsername": username,
            "chaincodeFunction": asked.chaincode_function,
            "record": asked.record,
        }

    def _plan(self, submission: Submission, username: str, key: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Nonces and transaction ids, hex, under which the submission may be ordered."""
        if not self.plan_transactions:
            self.identities.require_allowed(username)
            return (), ()
        signer = creator(self.identities.msp_id, self._certificate(username, key))
        nonces = submission.nonces
        return tuple(nonce.hex() for nonce in nonces), tuple(transaction_id(nonce, signer) for nonce in nonces)

    def _certificate(self, username: str, key: str) -> str:
        """The user's certificate. Where it cannot be read, it is certain that nothing was ordered only for a submission
        that has no object yet."""
        try:
            return self.identities.certificate(username)
        except LedgerUnavailable as error:
            transaction_ids = self.writer.planned(key)
            if not transaction_ids:
                raise
            raise OutcomeUnknown(
                "An earlier request with this Idempotency-Key may have succeeded, but the ledger cannot be asked now. "
                "Send the request again with the same key.",
                transaction_id=transaction_ids[0],
            ) from error
