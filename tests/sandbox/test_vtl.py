"""The template engine against Apache Velocity 1.7, plain and with missing references as API Gateway has them."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox import vtl

GOLDEN = json.loads((Path(__file__).parent / "vtl-golden.json").read_text("utf-8"))
CASES = pytest.mark.parametrize("case", GOLDEN, ids=[case["name"] for case in GOLDEN])


def check(case: dict[str, Any], wanted: dict[str, Any], **model: bool) -> None:
    """Render the case's template and compare with what was `wanted` of it."""
    context = copy.deepcopy(case["context"])

    def render() -> str:
        request = vtl.Request(body=case["body"], **case["params"])
        return vtl.render(
            case["template"], request=request, context=context, stage_variables=case["stageVariables"], **model
        )

    if wanted["error"]:
        with pytest.raises(vtl.TemplateError):
            render()
        return
    assert render() == wanted["expected"]
    assert context == wanted["context_after"]


@CASES
def test_plain_velocity_has_null_for_what_is_missing(case: dict[str, Any]) -> None:
    check(case, case, plain=True)


@CASES
def test_api_gateway_has_an_empty_string_for_what_is_missing(case: dict[str, Any]) -> None:
    check(case, case["apiGateway"])


def test_an_empty_body_reads_as_an_empty_object() -> None:
    request = vtl.Request(body="")
    assert vtl.render("$input.body $input.json('$') ($input.path('$.a'))", request=request, context={}) == "{} {} ()"


@pytest.mark.parametrize("plain", [True, False])
def test_what_is_set_is_asked_once(plain: bool) -> None:
    template = "#set($list = $input.path('$.list'))#set($ignored = $list.add(2))$list.size()"
    assert vtl.render(template, request=vtl.Request(body='{"list": [1]}'), context={}, plain=plain) == "2"


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
