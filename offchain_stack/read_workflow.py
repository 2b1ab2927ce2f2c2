"""The state machine of the read flow: ask the ledger, then hold the object against what it proves."""

import json
from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from .state_machine import API_TIMEOUT, SERVICE_ERRORS, THROTTLED, Workflow, retry

_CORRELATED = {"correlationId.$": "$$.Execution.Input.correlationId"}

_DIED = ("Lambda.Unknown", "Runtime.ExitError")
"""What a function's end without an answer is called: to read again is harmless."""


class ReadWorkflow(Workflow):
    """The EXPRESS state machine that reads records with proof.

    Input: `{"query": "record", "identifier", "verify", "inline"}` (an empty string stands for "not given"),
    `{"query": "list", "limit", "nextToken"}` or `{"query": "transaction", "transactionId"}`, each with `correlationId`.
    Output: what the API answers. A failure's `error` is one of the functions' error names, or TooManyRequests, and its
    `cause` a JSON object with `message`, or with such an object as text in `errorMessage`.

    * `query_function`: a `QueryFunction`.
    * `verify_function`: a `VerifyFunction`.
    * `log_retention`: how long the logs are kept; three months by default.

    The query function may sign and cannot read the bucket; the verify function may read the bucket and cannot sign.
    Two small functions in a workflow keep those rights apart, and each step is retried on its own.

    Its role may invoke the two functions. Logs hold no execution data. Exposes `state_machine`, `role` and `log_group`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        query_function: lambda_.IFunction,
        verify_function: lambda_.IFunction,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        super().__init__(scope, id, log_retention=log_retention)
        self._query_function = query_function
        self._verify_function = verify_function
        self._make(
            self._definition(),
            functions=[query_function, verify_function],
            timeout=API_TIMEOUT,
            kind=sfn.StateMachineType.EXPRESS,
        )

    def _definition(self) -> sfn.IChainable:
        throttled = sfn.Fail(
            self,
            "RefuseThrottled",
            error="TooManyRequests",
            cause=json.dumps({"message": "Too many requests at once. Wait a little and send it again."}),
        )
        kind = sfn.Condition.string_equals
        return (
            sfn.Choice(self, "WhatIsAsked")
            .when(kind("$.query", "record"), self._record(throttled))
            .when(kind("$.query", "list"), self._task("QueryRecords", self._query_function, throttled))
            .otherwise(self._task("QueryTransaction", self._query_function, throttled))
        )

    def _record(self, throttled: sfn.Fail) -> sfn.IChainable:
        found = {f"{name}.$": f"$.{name}" for name in ("answer", "identifier", "byChecksum", "inline")} | _CORRELATED
        verify = self._task(
            "VerifyObject",
            self._verify_function,
            throttled,
            payload=found,
            keep={f"{name}.$": f"$.Payload.{name}" for name in ("answer", "key", "transactionIds")},
            result_path="$.object",
        )
        committed = {
            "query": "committed",
            "transactionIds.$": "$.object.transactionIds",
            "key.$": "$.object.key",
            **_CORRELATED,
        }
        find = self._task(
            "FindTransaction",
            self._query_function,
            None,
            payload=committed,
            keep={"fields.$": "$.Payload"},
            result_path="$.transaction",
        )
        # The record and its object are proved without it.
        unnamed = sfn.Pass(
            self, "NameNoTransaction", result=sfn.Result.from_object({"fields": {}}), result_path="$.transaction"
        )
        answer = sfn.Pass(
            self,
            "Answer",
            parameters={
                "whole.$": "States.JsonMerge("
                "States.JsonMerge($.answer, $.transaction.fields, false), $.object.answer, false)"
            },
            output_path="$.whole",
        )
        find.add_catch(unnamed.next(answer), errors=["States.ALL"], result_path=sfn.JsonPath.DISCARD)
        verify.next(
            sfn.Choice(self, "HasTransaction")
            .when(sfn.Condition.is_present("$.object.transactionIds[0]"), find.next(answer))
            .otherwise(unnamed)
        )
        return self._task("QueryRecord", self._query_function, throttled).next(
            sfn.Choice(self, "HasObject")
            .when(sfn.Condition.boolean_equals("$.hasObject", True), verify)
            .otherwise(sfn.Pass(self, "AnswerRecord", output_path="$.answer"))
        )

    def _task(
        self,
        name: str,
        function: lambda_.IFunction,
        throttled: sfn.Fail | None,
        *,
        payload: Mapping[str, str] | None = None,
        keep: Mapping[str, str] | None = None,
        result_path: str | None = None,
    ) -> sfn.TaskStateBase:
        """A call of `function` with `payload`, by default the state. Without `result_path` what it returns takes the
        state's place; with it, what `keep` selects is put there."""
        task = tasks.LambdaInvoke(
            self,
            name,
            state_name=name,
            lambda_function=function,
            payload=sfn.TaskInput.from_object(dict(payload)) if payload else None,
            output_path=None if result_path else "$.Payload",
            result_selector=dict(keep) if keep else None,
            result_path=result_path,
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(cdk.Duration.seconds(23)),
        )
        retry(task, [THROTTLED, *SERVICE_ERRORS, *_DIED])
        if throttled:
            task.add_catch(throttled, errors=[THROTTLED])
        return task
