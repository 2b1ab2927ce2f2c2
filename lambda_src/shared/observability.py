"""Logs, metrics and traces of every function: ids, codes and counts, never what a request or an object contains.

Lambda's runtime logs the text of each error that a handler raises, so that this holds for their texts as well. What a
library says in an error may quote what it was called with: such an error stays here, and of it the log has the class
and the places in the code. The sweep and the verification of everything, which no caller starts, name in their results
the objects that they found, by keys that contain the record's identifier.

Each invocation has one correlation id: the event's `correlationId`, which is API Gateway's request id where the API
started it. It stands in every log line, in every metric's line and on the trace, beside Lambda's own request id
(`functionRequestId`) and, from where they are known, `submissionId` and `transactionId`. Names in logs are camelCase.

Outside Lambda nothing is traced, and nothing need be there to receive it.
"""

import contextlib
import enum
import functools
import os
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from . import errors, record_type

_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "offchain-stack")
_NAMESPACE = "OffChainStack"


class Metric(enum.Enum):
    """The metrics, counts unless they say otherwise. Dimensions: `service`, `RecordType` and `FunctionName`."""

    # How an invocation ended: exactly one of these for each, one of the last 17 for a refusal or a failure.
    STORED = "Stored"
    """The upload function wrote the object, or found it written."""
    CREATED = "Created"
    """The chaincode function has the verdict VALID."""
    ANSWERED = "Answered"
    """A query was answered."""
    VERIFIED = "Verified"
    """An object is what the ledger proves."""
    UNVERIFIABLE = "Unverifiable"
    """A record names an object and no hash."""
    INVALID_REQUEST = "InvalidRequest"
    INVALID_DATA = "InvalidData"
    DATA_TOO_LARGE = "DataTooLarge"
    FORBIDDEN = "Forbidden"
    IDEMPOTENCY_KEY_REUSED = "IdempotencyKeyReused"
    RECORD_ALREADY_EXISTS = "RecordAlreadyExists"
    CHAINCODE_REJECTED = "ChaincodeRejected"
    RECORD_NOT_FOUND = "RecordNotFound"
    RECORD_UNREADABLE = "RecordUnreadable"
    OBJECT_TAMPERED = "ObjectTampered"
    OBJECT_MISSING = "ObjectMissing"
    STORAGE_UNAVAILABLE = "StorageUnavailable"
    LEDGER_UNAVAILABLE = "LedgerUnavailable"
    ENDORSEMENT_FAILED = "EndorsementFailed"
    TRANSACTION_INVALID = "TransactionInvalid"
    OUTCOME_UNKNOWN = "OutcomeUnknown"
    """Each as the class of `shared.errors` with this name."""
    INTERNAL_ERROR = "InternalError"
    """A function failed in a way that is none of the above: a defect, or AWS refused what it never should."""

    LEDGER_LATENCY = "LedgerLatency"
    """Milliseconds from endorsement to the verdict, of each transaction that was committed as VALID."""
    CERTIFICATE_DAYS_LEFT = "CertificateDaysLeft"
    """Days until a Fabric user's certificate expires, by each sweep; also with the dimension `FabricUser`."""
    CERTIFICATE_UNREADABLE = "CertificateUnreadable"
    """1 where a Fabric user's certificate could not be read or is none, else 0; also with `FabricUser`."""

    # Versions that a batch of the sweep looked at, and what became of them.
    SWEEP_EXAMINED = "SweepExamined"
    SWEEP_COMMITTED = "SweepCommitted"
    SWEEP_DEAD = "SweepDead"
    SWEEP_OPEN = "SweepOpen"
    SWEEP_FOREIGN = "SweepForeign"

    # Identifiers that a batch of the verification of everything looked at, by what it found.
    OBJECTS_VERIFIED = "ObjectsVerified"
    OBJECTS_WITHOUT_OBJECT = "ObjectsWithoutObject"
    OBJECTS_UNVERIFIABLE = "ObjectsUnverifiable"
    OBJECTS_TAMPERED = "ObjectsTampered"
    OBJECTS_MISSING = "ObjectsMissing"
    OBJECTS_UNREADABLE = "ObjectsUnreadable"
    OBJECTS_UNRECORDED = "ObjectsUnrecorded"


class _CamelCase(LambdaPowertoolsFormatter):
    """Writes Powertools' own names, such as `xray_trace_id`, in the style of all others."""

    def serialize(self, log: Any) -> str:
        return super().serialize({re.sub(r"_(\w)", lambda m: m[1].upper(), name): log[name] for name in log})


# The stack as text is enough. Lambda takes a line's time and level from it where its time is RFC 3339.
logger = Logger(service=_SERVICE, logger_formatter=_CamelCase(use_rfc3339=True, utc=True, serialize_stacktrace=False))
_metrics = Metrics(namespace=_NAMESPACE, service=_SERVICE)
# auto_patch would also record what other libraries are called with.
_tracer = Tracer(service=_SERVICE, auto_patch=False)

_FAILED = "The request failed for a reason of ours. Give the requestId to the operator."
_Handler = Callable[[Any, Any], Any]
_CALLERS_OWN = (errors.InvalidRequest, errors.InvalidData, errors.DataTooLarge, errors.Forbidden)


def observed(
    ended_as: Callable[[Any, Any], Metric] | None = None, *, has_requests: bool = True
) -> Callable[[_Handler], _Handler]:
    """Observe a Lambda handler, which then gets its event without `correlationId`.

    Counts how each invocation ended: with the metric that `ended_as` makes of event and answer (nothing without it), or
    with the class of the error. Logs the error, too, except what it says of a request, which its caller reads. An error
    that is not of `shared.errors` becomes InternalError, unless `has_requests` is False: the handler then gets nothing
    that a caller wrote, and whoever deploys reads its errors. A function without `RECORD_TYPE` has no metrics.
    """

    def decorate(handler: _Handler) -> _Handler:
        @functools.wraps(handler)
        def invoke(event: Any, context: Any) -> Any:
            event, correlation_id = _without_correlation_id(event, context)
            logger.clear_state()
            _metrics.clear_default_dimensions()
            _metrics.clear_metrics()
            identify(correlationId=correlation_id, functionRequestId=context.aws_request_id)
            if "RECORD_TYPE" in os.environ:
                _metrics.set_default_dimensions(**_dimensions(context.function_name))
            try:
                return _traced(handler, event, context, ended_as)
            except errors.OffchainError as error:
                raise error from None  # what caused it may quote a request, and is logged where that is useful
            except Exception as error:
                if not has_requests:
                    logger.exception("Failed")
                    raise
                _log_failure(error)
                raise errors.InternalError(_FAILED) from None

        return invoke

    return decorate


def _traced(handler: _Handler, event: Any, context: Any, ended_as: Callable[[Any, Any], Metric] | None) -> Any:
    ended: Metric | None = Metric.INTERNAL_ERROR
    with subsegment("Handler") as traced:
        try:
            answer = handler(event, context)
            ended = ended_as(event, answer) if ended_as else None
            return answer
        except errors.OffchainError as error:
            ended = _metric_of(error)
            _log_refusal(error)
            raise
        finally:
            _finish(traced, ended)


def identify(**ids: str) -> None:
    """Put ids, such as `submissionId` and `transactionId`, into every following log line and onto the trace."""
    logger.append_keys(**ids)


def count(metric: Metric, value: float = 1) -> None:
    """Add to `metric` for this invocation."""
    _metrics.add_metric(name=metric.value, unit=MetricUnit.Count, value=value)


def milliseconds(metric: Metric, value: float) -> None:
    """Record a duration for this invocation."""
    _metrics.add_metric(name=metric.value, unit=MetricUnit.Milliseconds, value=value)


def count_of_user(metric: Metric, value: float, *, user: str, function_name: str) -> None:
    """Record `metric` of one Fabric user, under its name and under that of all users together."""
    dimensions = {"service": _SERVICE} | _dimensions(function_name)
    written = EphemeralMetrics(namespace=_NAMESPACE, service=_SERVICE)
    written.set_default_dimensions(**dimensions)
    written.add_dimensions(**dimensions, FabricUser=user)
    written.add_metric(name=metric.value, unit=MetricUnit.Count, value=value)
    for name, known in _ids().items():
        written.add_metadata(name, known)
    written.flush_metrics()


@contextlib.contextmanager
def subsegment(name: str) -> Iterator[Any]:
    """A part of the trace; yields X-Ray's subsegment. Of an exception it records the class alone.

    (Powertools' `capture_method` and X-Ray's `in_subsegment` record its text, too, whatever `capture_error` says, and a
    text may quote what it is about.)
    """
    recorder: Any = _tracer.provider
    begun = recorder.begin_subsegment(name)
    try:
        yield begun
    except BaseException as error:
        begun.add_error_flag()
        begun.put_annotation("error", type(error).__name__)
        raise
    finally:
        recorder.end_subsegment()


def _without_correlation_id(event: Any, context: Any) -> tuple[Any, str]:
    """CloudFormation calls it `RequestId`. A direct call need not bring one: it is Lambda's request id then."""
    if not isinstance(event, Mapping):
        return event, context.aws_request_id
    rest = {name: value for name, value in event.items() if name != "correlationId"}
    return rest, str(event.get("correlationId") or event.get("RequestId") or context.aws_request_id)


def _dimensions(function_name: str) -> dict[str, str]:
    """A function's name keeps the deployments of one account apart."""
    return {"RecordType": record_type.from_environment().name, "FunctionName": function_name}


def _ids() -> dict[str, str]:
    keys = logger.get_current_keys()
    names = ("correlationId", "functionRequestId", "submissionId", "transactionId")
    return {name: keys[name] for name in names if keys.get(name)}


def _metric_of(error: errors.OffchainError) -> Metric:
    """By the error's own class: a record type gives it another name, and a new one must have a metric."""
    names = {metric.value for metric in Metric}
    return Metric(next(each.__name__ for each in type(error).__mro__ if each.__name__ in names))


def _log_refusal(error: errors.OffchainError) -> None:
    if error.transaction_id:
        identify(transactionId=error.transaction_id)
    reason = {} if isinstance(error, _CALLERS_OWN) else {"reason": error.message, "details": error.details}
    logger.warning("Refused", extra={"error": type(error).__name__, **reason})


def _log_failure(error: Exception) -> None:
    causes = [error, *_causes(error)]
    stack = [line for each in reversed(causes) for line in (*_places(each), _class(each))]
    logger.error("Failed", extra={"exceptionName": _class(error), "exception": "\n".join(stack)})


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield cause
        yield from _causes(cause)


def _places(error: BaseException) -> Iterator[str]:
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield f"  {frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"


def _class(error: BaseException) -> str:
    """The class of an error; of one that AWS answered its code and the operation as well."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, Mapping) else None
    return type(error).__name__ + (f" {code} in {getattr(error, 'operation_name', '')}" if code else "")


def _finish(traced: Any, ended: Metric | None) -> None:
    for name, known in _ids().items():
        traced.put_annotation(name, known)
        _metrics.add_metadata(name, known)
    if ended:
        traced.put_annotation("outcome", ended.value)
        count(ended)
    if _metrics.metric_set and "RECORD_TYPE" in os.environ:
        _metrics.flush_metrics()
