"""A submission's identity: everything that makes a repeated request the same submission, and the same transaction.

The name of a submission is the caller's `Idempotency-Key` or, without one, the id of the execution. The object key
derives from name and content, so that two contents never share an object. The nonces, and with them the transaction
ids, derive from the name alone: the ledger itself then refuses a second content under the same name as a duplicate.

A transaction that the ledger keeps as invalid uses its id up. The submission then goes on with its next nonce. The
series of nonces has no end, so that a key stays usable until its submission has an outcome.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

NONCE_COUNT = 3
"""The nonces that an object's metadata and an event carry. `series` derives all further ones from them."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """`submission_id`: 32 hex digits. `nonces`: the first NONCE_COUNT of the submission's `series`."""

    submission_id: str
    nonces: tuple[bytes, ...]

    @classmethod
    def of(
        cls,
        *,
        record_type: str,
        execution_id: str,
        idempotency_key: str | None,
        fabric_username: str,
        chaincode_function: str,
        fields: Mapping[str, str],
        data_sha256: str,
    ) -> "Submission":
        """Derive the submission of one request. `fields` are the ledger's fields without those about the object."""
        name = ["key", idempotency_key] if idempotency_key else ["execution", execution_id]
        content = [fabric_username, chaincode_function, sorted(fields.items()), data_sha256]
        return cls(
            submission_id=_digest("submission", record_type, name, content)[:32],
            nonces=tuple(bytes.fromhex(_digest("nonce", record_type, name, n)[:48]) for n in range(NONCE_COUNT)),
        )


def series(nonces: Sequence[bytes]) -> Iterator[bytes]:
    """All nonces of a submission, 24 bytes each, in the order in which they may be used: `nonces`, then without end
    each one derived from the one before it. Nothing where there are none."""
    yield from nonces
    nonce = nonces[-1] if nonces else b""
    while nonce:
        nonce = bytes.fromhex(_digest("next nonce", nonce.hex())[:48])
        yield nonce


def creator(msp_id: str, certificate_pem: str) -> bytes:
    """Serialize an identity as Fabric signs it in: `msp.SerializedIdentity` of fabric-protos, fields 1 and 2."""
    return _field(1, msp_id.encode()) + _field(2, certificate_pem.encode())


def transaction_id(nonce: bytes, creator: bytes) -> str:
    """Fabric's transaction id: hex SHA-256 of nonce and creator (`ComputeTxID` in fabric/protoutil)."""
    return hashlib.sha256(nonce + creator).hexdigest()


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(["offchain-stack", 1, *parts]).encode()).hexdigest()


def _field(number: int, value: bytes) -> bytes:
    length, size = b"", len(value)
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + value
