"""The template engine against Apache Velocity 1.7, and where API Gateway differs from it."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox import vtl

GOLDEN = json.loads((Path(__file__).parent / "vtl-golden.json").read_text("utf-8"))


def render(case: dict[str, Any], context: dict[str, Any], *, print_missing: bool) -> str:
    return vtl.render(
        case["template"],
        request=vtl.Request(body=case["body"], **case["params"]),
        context=context,
        stage_variables=case["stageVariables"],
        print_missing=print_missing,
    )


@pytest.mark.parametrize("case", GOLDEN, ids=[case["name"] for case in GOLDEN])
def test_renders_what_velocity_printed(case: dict[str, Any]) -> None:
    context = copy.deepcopy(case["context"])
    if case["error"]:
        with pytest.raises(vtl.TemplateError):
            render(case, context, print_missing=True)
        return
    assert render(case, context, print_missing=True) == case["expected"]
    assert context == case["context_after"]


# AWS's "API Gateway mapping template and access logging variable reference" gives an empty string for what is absent.
EMPTY_IN_API_GATEWAY = {
    "draft-response-fail-noerror": '{"message": "", "requestId": "rid-1"}\n',
    "path-missing": "[]",
    "path-null": "[]",
    "nested-missing": "",
    "set-missing": "[][]",
    "escapeJS-null": "[]",
    "ctx": "rid-1 10.1.2.3  [] abc",
    "unknown-ref": "    ",
    "cdk-resp500": '{\n          "error": ""\n        }',
}


@pytest.mark.parametrize("case", GOLDEN, ids=[case["name"] for case in GOLDEN])
def test_missing_references_render_empty_as_api_gateway_does(case: dict[str, Any]) -> None:
    if case["error"]:
        pytest.skip("does not parse in either")
    expected = EMPTY_IN_API_GATEWAY.get(case["name"], case["expected"])
    assert render(case, copy.deepcopy(case["context"]), print_missing=False) == expected


def test_an_empty_body_reads_as_an_empty_object() -> None:
    request = vtl.Request(body="")
    assert vtl.render("$input.body $input.json('$') ($input.path('$.a'))", request=request, context={}) == "{} {} ()"


def test_an_unknown_json_path_is_an_error_that_names_it() -> None:
    with pytest.raises(vtl.TemplateError, match=r"\$\.\.name"):
        vtl.render("$input.path('$..name')", request=vtl.Request(body="{}"), context={})


@pytest.mark.parametrize(
    "text", ["O'Brien", 'say "hi"', "back\\slash\\", "${x} #if $input @@ \\'", "Zoë 😀\n\x00\u2028"]
)
def test_the_known_cure_for_quotes_gives_valid_json(text: str) -> None:
    template = """{"input": "$util.escapeJavaScript($input.json('$')).replaceAll("\\\\'", "'")"}"""
    rendered = vtl.render(template, request=vtl.Request(body=json.dumps({"name": text})), context={})
    assert json.loads(json.loads(rendered)["input"]) == {"name": text}
