"""What the API answers with: HTTP status, public error code and text of every way a request may end."""

from collections.abc import Sequence
from dataclasses import dataclass

from .record_type import RecordType

OUTCOME_UNKNOWN = (
    "No verdict in time: the record may be on the ledger or not. Send the request again with the same Idempotency-Key."
)
NOT_READ_IN_TIME = "The answer took too long. Reading changes nothing: try again."
INTERNAL_ERROR = "The request failed for a reason of ours. Give the requestId to the operator."
TOO_MANY_REQUESTS = "Too many requests at once. Wait a little and send it again."
INVALID_REQUEST = "The request is not valid. Send it as the documentation shows, a body as JSON."
_FORBIDDEN = (
    "Not authorised for this method and path. Send what this API asks for: a SigV4 signature or a token of one who may "
    "call it, and its API key where callers have one."
)
_QUOTA_USED_UP = "The quota of this API key is used up. Wait until it starts anew or ask the operator."
_MEDIA_TYPE = "Content-Type: send the body as application/json."


@dataclass(frozen=True)
class Answer:
    """A refusal: HTTP status and public error code."""

    status: int
    error: str


CREATE_TIMED_OUT = Answer(504, "OutcomeUnknown")
READ_TIMED_OUT = Answer(503, "LedgerUnavailable")


def create_answers(record_type: RecordType) -> dict[str, Answer]:
    """By each error name that an execution of the create flow may end with and that a caller may read the message of.
    Any other is 500 InternalError."""
    return {
        "InvalidRequest": Answer(400, "InvalidRequest"),
        "IdempotencyKeyReused": Answer(400, "InvalidRequest"),
        record_type.invalid_data_error: Answer(400, record_type.invalid_data_error),
        "Forbidden": Answer(403, "Forbidden"),
        record_type.already_exists_error: Answer(409, record_type.already_exists_error),
        record_type.data_too_large_error: Answer(413, record_type.data_too_large_error),
        "ChaincodeRejected": Answer(422, "ChaincodeRejected"),
        "TooManyRequests": Answer(429, "TooManyRequests"),
        "EndorsementFailed": Answer(503, "LedgerUnavailable"),
        "TransactionInvalid": Answer(503, "LedgerUnavailable"),
        "LedgerUnavailable": Answer(503, "LedgerUnavailable"),
        "OutcomeUnknown": CREATE_TIMED_OUT,
    }


def read_answers(record_type: RecordType) -> dict[str, Answer]:
    """As `create_answers`, for the read flow."""
    return {
        "InvalidRequest": Answer(400, "InvalidRequest"),
        record_type.not_found_error: Answer(404, record_type.not_found_error),
        record_type.object_tampered_error: Answer(409, record_type.object_tampered_error),
        record_type.object_missing_error: Answer(410, record_type.object_missing_error),
        record_type.data_too_large_error: Answer(413, record_type.data_too_large_error),
        "ChaincodeRejected": Answer(422, "ChaincodeRejected"),
        "RecordUnreadable": Answer(422, "RecordUnreadable"),
        "TooManyRequests": Answer(429, "TooManyRequests"),
        "EndorsementFailed": READ_TIMED_OUT,
        "LedgerUnavailable": READ_TIMED_OUT,
        "StorageUnavailable": Answer(503, "StorageUnavailable"),
    }


_REFUSED_CALLER = (403, "Forbidden", _FORBIDDEN)
_UNANSWERED = (504, "OutcomeUnknown", OUTCOME_UNKNOWN)
_THROTTLED = (429, "TooManyRequests", TOO_MANY_REQUESTS)
_INTERNAL = (500, "InternalError", INTERNAL_ERROR)

GATEWAY_ANSWERS: dict[str, tuple[int | None, str, str]] = {
    "DEFAULT_4XX": (None, "InvalidRequest", INVALID_REQUEST),
    "DEFAULT_5XX": _INTERNAL,
    "BAD_REQUEST_BODY": (400, "InvalidRequest", "$context.error.validationErrorString"),
    "BAD_REQUEST_PARAMETERS": (400, "InvalidRequest", INVALID_REQUEST),
    "UNSUPPORTED_MEDIA_TYPE": (400, "InvalidRequest", _MEDIA_TYPE),
    "ACCESS_DENIED": _REFUSED_CALLER,
    "EXPIRED_TOKEN": _REFUSED_CALLER,
    "INVALID_API_KEY": _REFUSED_CALLER,
    "INVALID_SIGNATURE": _REFUSED_CALLER,
    "MISSING_AUTHENTICATION_TOKEN": _REFUSED_CALLER,
    "RESOURCE_NOT_FOUND": _REFUSED_CALLER,
    "UNAUTHORIZED": _REFUSED_CALLER,
    "WAF_FILTERED": _REFUSED_CALLER,
    "THROTTLED": _THROTTLED,
    "QUOTA_EXCEEDED": (429, "TooManyRequests", _QUOTA_USED_UP),
    "API_CONFIGURATION_ERROR": _INTERNAL,
    "AUTHORIZER_CONFIGURATION_ERROR": _INTERNAL,
    "AUTHORIZER_FAILURE": _INTERNAL,
    "INTEGRATION_FAILURE": _UNANSWERED,
    "INTEGRATION_TIMEOUT": _UNANSWERED,
}
"""API Gateway's own refusals: status (None: as it is), error code and message, by response type. REQUEST_TOO_LARGE
has those of `request_too_large`."""


def request_too_large(record_types: Sequence[RecordType]) -> tuple[str, str]:
    """Error code and message of a body over API Gateway's 10 MB. Which record type it is for is not known there: only
    an API with a single one has that one's code."""
    if len(record_types) == 1:
        (record_type,) = record_types
        return record_type.data_too_large_error, record_type.too_large_message
    return "RequestTooLarge", "The request is larger than 10 MB. Send smaller data."
