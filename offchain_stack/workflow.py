"""The state machine of the create flow: upload, invoke, and on certain failure take the object back."""

import json
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from .acknowledgements import acknowledge_policy, resource
from .answers import INVALID_REQUEST
from .record_type import DONOR, RecordType
from .state_machine import API_TIMEOUT, SERVICE_ERRORS, THROTTLED, Workflow, retry
from .store import grant_delete_version, require_versions

_UNREADABLE = "Runtime.UnmarshalError"
"""How Lambda names an event that Python cannot read, such as JSON of 20,000 levels. The function's code did not run."""

_TRY_AGAIN = "Send the request again with the same Idempotency-Key."

_NOT_GUARANTEED = (
    "An existing chaincode function submits. Not guaranteed then: that a repeated request is one transaction, that a "
    "refusal by the chaincode is told from an unknown outcome, and that an object which no record names is deleted."
)


class CreateWorkflow(Workflow):
    """The EXPRESS state machine that creates a record: both, object and ledger record, or neither.

    Input: `{"submission": {"correlationId", "idempotencyKey", "fabricUsername", "functionType", "chaincodeFunction",
    "caller"}, "chaincodeFunctionArgs": {...}}` (an empty string stands for "not given"), or
    `"dataTooLarge": true` in the place of the arguments. Output: `{"transactionId"?, "imageKey", "imageHash",
    "imageSha256"}` (the last three named by the record type's data field). A failure's `error` is one of the functions'
    error names, and its `cause` a JSON object with `message` and perhaps `transactionId`, or with such an object as
    text in `errorMessage`.

    An object version is deleted only after an error that makes certain that the ledger will never refer to it. Every
    other failure asks the ledger once more (`SettleTransaction`), and then keeps the object.

    * `upload_function`: an `UploadFunction`.
    * `chaincode_function`: a `ChaincodeFunction`.
    * `bucket`: where the upload function writes.
    * `record_type`: what is recorded; donors by default.
    * `log_retention`: how long the logs are kept; three months by default.
    * `existing_chaincode_function`: whether `chaincode_function` is not a `ChaincodeFunction` but one that takes the
      blog's event (`fabricUsername`, `functionType`, `chaincodeFunction`, `chaincodeFunctionArgs`) and returns
      `{"transactionId"}`, such as the workshop's. Nothing it says of a failure is certain: every one is OutcomeUnknown
      without a transaction id, and its object is kept for ever. That is also said at synth. False by default.

    Its role may invoke the two functions and delete versions under the record type's prefix of the bucket. Logs hold
    no execution data. Exposes `state_machine`, `upload_function`, `role` and `log_group`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        upload_function: lambda_.IFunction,
        chaincode_function: lambda_.IFunction,
        bucket: s3.IBucket,
        record_type: RecordType = DONOR,
        existing_chaincode_function: bool = False,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        super().__init__(scope, id, log_retention=log_retention)
        self._record_type = record_type
        self.upload_function = upload_function
        self._chaincode_function = chaincode_function
        self._bucket = bucket
        self._existing = existing_chaincode_function
        if existing_chaincode_function:
            cdk.Annotations.of(self).add_warning_v2("offchain-stack:existingChaincodeFunction", _NOT_GUARANTEED)
        self._make(
            self._definition(),
            functions=[upload_function, chaincode_function],
            timeout=API_TIMEOUT,
            kind=sfn.StateMachineType.EXPRESS,
        )
        require_versions(self, bucket)
        grant_delete_version(bucket, record_type, self.role)
        acknowledge_policy(
            self.role,
            {
                resource(self, bucket.arn_for_objects(f"{record_type.key_prefix}*")): "Deletes versions, "
                "each named by its id, of objects whose names are not known before.",
            },
        )

    def _definition(self) -> sfn.IChainable:
        fail = sfn.Fail(self, "Fail", error_path="$.failure.Error", cause_path="$.failure.Cause")
        too_large = sfn.Fail(
            self,
            "RefuseTooLarge",
            error=self._record_type.data_too_large_error,
            cause=_cause(self._record_type.too_large_message),
        )
        delete = self._delete(fail)
        chaincode = self._invoke(delete, fail)
        return (
            sfn.Choice(self, "CheckSize")
            .when(sfn.Condition.is_present("$.dataTooLarge"), too_large)
            .otherwise(self._upload(fail).next(chaincode))
        )

    def _upload(self, fail: sfn.Fail) -> sfn.TaskStateBase:
        about_object = {f"{name}.$": f"$.Payload.{name}" for name in self._record_type.object_fields}
        planned = ("submissionId", "nonces", "transactionIds", "earlierTransactionIds", "created", "callerNamed")
        upload = tasks.LambdaInvoke(
            self,
            "S3Upload",
            state_name="S3Upload",
            lambda_function=self.upload_function,
            payload=sfn.TaskInput.from_object(
                {
                    "correlationId": sfn.JsonPath.string_at("$.submission.correlationId"),
                    "executionId": sfn.JsonPath.string_at("$$.Execution.Id"),
                    "submission": sfn.JsonPath.object_at("$.submission"),
                    "chaincodeFunctionArgs": sfn.JsonPath.object_at("$.chaincodeFunctionArgs"),
                }
            ),
            # The result takes the state's place: the data is not carried along.
            result_selector={
                "record.$": "$.Payload.record",
                "object": about_object,
                "versionId.$": "$.Payload.versionId",
                "fabricUsername.$": "$.Payload.fabricUsername",
                "chaincodeFunction.$": "$.Payload.chaincodeFunction",
                "submission": {f"{name}.$": f"$.Payload.{name}" for name in planned},
            },
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(cdk.Duration.seconds(11)),
        )
        retry(upload, [THROTTLED, *SERVICE_ERRORS])
        refused = _failed(self, "RefuseThrottled", _TOO_MANY_REQUESTS).next(fail)
        unreadable = _failed(self, "RefuseUnreadable", ("InvalidRequest", INVALID_REQUEST)).next(fail)
        # Errors beside a state near its limit could exceed it, which nothing catches: the failure replaces the state.
        failed = sfn.Pass(self, "RefuseUpload", parameters={"failure.$": "$"}).next(fail)
        upload.add_catch(refused, errors=[THROTTLED], result_path="$")
        upload.add_catch(unreadable, errors=[_UNREADABLE], result_path="$")
        upload.add_catch(failed, errors=["States.ALL"], result_path="$")
        return upload

    def _invoke(self, delete: sfn.IChainable, fail: sfn.Fail) -> sfn.TaskStateBase:
        certain = [
            "InvalidRequest",
            "IdempotencyKeyReused",
            "Forbidden",
            "ChaincodeRejected",
            self._record_type.already_exists_error,
            "EndorsementFailed",
            "TransactionInvalid",
            "LedgerUnavailable",
        ]
        succeeded = sfn.Pass(
            self,
            "Succeed",
            parameters={"answer.$": "States.JsonMerge($.ledger.answer, $.object, false)"},
            output_path="$.answer",
        )
        unknown = self._unknown(fail)
        invoke = self._chaincode_task(self._record_type.invoke_state, attempt="first")
        retry(invoke, [THROTTLED])
        # Nothing ran, so nothing was ordered by this execution; by an earlier one, perhaps.
        throttled = _failed(self, "InvokeThrottled", _TOO_MANY_REQUESTS).next(
            sfn.Choice(self, "IsFirstExecution")
            .when(sfn.Condition.boolean_equals("$.submission.created", True), delete)
            .otherwise(unknown)
        )
        invoke.next(succeeded)
        if self._existing:
            invoke.add_catch(throttled, errors=[THROTTLED], result_path="$.failure")
            invoke.add_catch(unknown, errors=["States.ALL"], result_path="$.failure")
            return invoke
        settle = self._chaincode_task("SettleTransaction", attempt="settle")
        retry(settle, [THROTTLED, *SERVICE_ERRORS])
        settle.add_catch(delete, errors=certain, result_path="$.failure")
        settle.add_catch(fail, errors=["OutcomeUnknown"], result_path="$.failure")
        settle.add_catch(unknown, errors=["States.ALL"], result_path="$.failure")
        settle.next(succeeded)

        invoke.add_catch(delete, errors=certain, result_path="$.failure")
        invoke.add_catch(throttled, errors=[THROTTLED], result_path="$.failure")
        invoke.add_catch(fail, errors=["OutcomeUnknown"], result_path="$.failure")
        invoke.add_catch(settle, errors=["States.ALL"], result_path="$.failure")
        return invoke

    def _unknown(self, fail: sfn.Fail) -> sfn.IChainable:
        planned = {} if self._existing else {"transactionId": sfn.JsonPath.string_at("$.submission.transactionIds[0]")}
        message = f"The ledger gave no verdict in time. {_TRY_AGAIN}"
        if self._existing:
            message = "Whether the ledger has the record could not be found out. Look it up before sending it again."
        return (
            sfn.Pass(self, "DescribeOutcome", parameters={"message": message} | planned, result_path="$.outcome")
            .next(
                sfn.Pass(
                    self,
                    "OutcomeUnknown",
                    parameters={
                        "Error": "OutcomeUnknown",
                        "Cause": sfn.JsonPath.json_to_string(sfn.JsonPath.object_at("$.outcome")),
                    },
                    result_path="$.failure",
                )
            )
            .next(fail)
        )

    def _chaincode_task(self, name: str, *, attempt: str) -> sfn.TaskStateBase:
        return tasks.LambdaInvoke(
            self,
            name,
            state_name=name,
            lambda_function=self._chaincode_function,
            payload=sfn.TaskInput.from_object(
                {
                    "fabricUsername": sfn.JsonPath.string_at("$.fabricUsername"),
                    "functionType": "invoke",
                    "chaincodeFunction": sfn.JsonPath.string_at("$.chaincodeFunction"),
                    "chaincodeFunctionArgs": sfn.JsonPath.json_merge(
                        sfn.JsonPath.object_at("$.record"), sfn.JsonPath.object_at("$.object")
                    ),
                }
                | ({} if self._existing else self._submission(attempt))
            ),
            # One of ours may have no transaction to name; another one may return more than a state can hold.
            result_selector={"answer": {"transactionId.$": "$.Payload.transactionId"}}
            if self._existing
            else {"answer.$": "$.Payload"},
            result_path="$.ledger",
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(cdk.Duration.seconds(19)),
        )

    @staticmethod
    def _submission(attempt: str) -> dict[str, Any]:
        return {
            "correlationId": sfn.JsonPath.string_at("$$.Execution.Input.submission.correlationId"),
            "submission": sfn.JsonPath.object_at("$.submission"),
            "attempt": attempt,
            "executionStartTime": sfn.JsonPath.string_at("$$.Execution.StartTime"),
        }

    def _delete(self, fail: sfn.Fail) -> sfn.TaskStateBase:
        key, *_ = self._record_type.object_fields
        delete = tasks.CallAwsService(
            self,
            "DeleteObject",
            state_name="DeleteObject",
            service="s3",
            action="deleteObject",
            parameters={
                "Bucket": self._bucket.bucket_name,
                "Key": sfn.JsonPath.string_at(f"$.object.{key}"),
                "VersionId": sfn.JsonPath.string_at("$.versionId"),
            },
            iam_resources=[],
            result_path=sfn.JsonPath.DISCARD,
            task_timeout=sfn.Timeout.duration(cdk.Duration.seconds(5)),
        )
        retry(delete, ["States.ALL"])
        # The caller is told why the record was refused; the object that stays is the sweep's.
        delete.add_catch(fail, errors=["States.ALL"], result_path=sfn.JsonPath.DISCARD)
        delete.next(fail)
        return delete


_TOO_MANY_REQUESTS = (
    "TooManyRequests",
    "Too many requests at once; nothing was sent to the ledger. Wait a little and send it again.",
)


def _failed(scope: Construct, name: str, failure: tuple[str, str]) -> sfn.Pass:
    error, message = failure
    return sfn.Pass(
        scope,
        name,
        result=sfn.Result.from_object({"Error": error, "Cause": _cause(message)}),
        result_path="$.failure",
    )


def _cause(message: str) -> str:
    return json.dumps({"message": message})
