"""What AWS logs of the default stack and of every example: ids and codes, never what a request or an object holds.

What the functions log is looked through while the tests run, by tests/log_check.py.
"""

import json

import pytest
from stack_template import of_type, only, reviewed

TEMPLATES = reviewed()
LOGGED = {
    "$context.requestId",
    "$context.extendedRequestId",
    "$context.requestTime",
    "$context.xrayTraceId",
    # Who called: an address, and what IAM, the authorizer or the API key tells.
    "$context.identity.sourceIp",
    "$context.identity.caller",
    "$context.authorizer.claims.sub",
    "$context.identity.apiKeyId",
    # The path as the API declares it, without the values in it.
    "$context.httpMethod",
    "$context.resourcePath",
    "$context.status",
    "$context.error.responseType",
    "$context.integration.status",
    "$context.integration.latency",
    "$context.responseLatency",
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_workflow_logs_its_states_data(name: str) -> None:
    machines = of_type(TEMPLATES[name], "AWS::StepFunctions::StateMachine").values()
    assert not [each for each in machines if each.get("LoggingConfiguration", {}).get("IncludeExecutionData")]


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_api_logs_bodies_headers_or_values_of_parameters(name: str) -> None:
    for stage in of_type(TEMPLATES[name], "AWS::ApiGateway::Stage").values():
        assert not [each for each in stage.get("MethodSettings", []) if each.get("DataTraceEnabled")]
        if "AccessLogSetting" in stage:
            assert set(json.loads(stage["AccessLogSetting"]["Format"]).values()) <= LOGGED


def test_the_default_stack_has_both() -> None:
    assert of_type(TEMPLATES["default"], "AWS::StepFunctions::StateMachine")
    assert "AccessLogSetting" in only(TEMPLATES["default"], "AWS::ApiGateway::Stage")
