"""Pictures of the state machines, made from their definitions in the template."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from . import mermaid
from .functions import FUNCTION, function_name
from .starts import MACHINE, starts
from .template import Template, short_name, text

_PREFACE = (
    "Made from the synthesized template by `make docs`. A task's second line is what it calls: a function, by the "
    "folder of its sources, or an AWS API. Dotted arrows are taken after an error, once the retries, which are not "
    "shown, are used up."
)

_MANY = 3
"""Error names on an arrow, above which a letter stands for them."""

_SHAPES = {"Choice": '{"%s"}', "Succeed": '(["%s"])', "Fail": '(["%s"])', "Task": '["%s"]'}
_OTHER_SHAPE = '("%s")'

_CONDITIONS = {
    ("IsPresent", True): "is there",
    ("IsPresent", False): "is not there",
    ("IsNull", True): "is null",
    ("IsNull", False): "is not null",
    ("BooleanEquals", True): "is true",
    ("BooleanEquals", False): "is false",
}


def state_machines(template: Template) -> str:
    """A Markdown page with a picture of every state machine; those that differ in nothing shown share one."""
    started_by = starts(template)
    sections: dict[tuple[str, str], list[str]] = {}
    for name, properties in template.of_type(MACHINE).items():
        definition = _definition(properties)
        limit = f", ends after {definition['TimeoutSeconds']} seconds at most" if "TimeoutSeconds" in definition else ""
        facts = f"{properties.get('StateMachineType', 'STANDARD')}{limit}."
        sections.setdefault((facts, _picture(template, definition)), []).append(name)
    page = f"# State machines\n\n{_PREFACE}\n"
    for (facts, drawn), names in sections.items():
        by = dict.fromkeys(start for name in names for start in started_by.get(name, ()))
        started = ", ".join(f"`{start}`" for start in by) or "hand"
        page += f"\n## {', '.join(map(title, names))}\n\n{facts} Started by {started}.\n\n{drawn}\n"
    return page


def pictures(template: Template) -> dict[str, str]:
    """The picture of every state machine, by its title."""
    return {
        title(name): _picture(template, _definition(properties))
        for name, properties in template.of_type(MACHINE).items()
    }


def title(machine: str) -> str:
    """What a state machine is called on the pages."""
    return short_name(machine).removesuffix("StateMachine")


def _definition(properties: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(text(properties["DefinitionString"]))  # type: ignore[no-any-return]


def _picture(template: Template, definition: Mapping[str, Any]) -> str:
    """The flowchart, and below it what its letters mean."""
    states: Mapping[str, Any] = definition["States"]
    statements = [f"start(( )) --> {mermaid.identifier(definition['StartAt'])}"]
    for name, state in states.items():
        shape = _SHAPES.get(state["Type"], _OTHER_SHAPE)
        statements.append(mermaid.identifier(name) + shape % mermaid.lines(name, _says(template, state)))
    letters: dict[tuple[str, ...], str] = {}
    for name, state in states.items():
        for target, labels, error in _transitions(state):
            if len(labels) > _MANY:
                letter = letters.setdefault(tuple(labels), chr(ord("A") + len(letters)))
                labels = [f"an error of {letter}"]
            statements.append(mermaid.edge(mermaid.identifier(name), mermaid.identifier(target), labels, dotted=error))
    meanings = "".join(f"\n\n{letter}: {', '.join(names)}." for names, letter in letters.items())
    return mermaid.flowchart("TD", statements) + meanings


def _transitions(state: Mapping[str, Any]) -> Iterator[tuple[str, list[str], bool]]:
    """Each next state, what leads there, and whether that is an error."""
    for choice in state.get("Choices", ()):
        yield choice["Next"], [_condition(choice)], False
    if "Default" in state:
        yield state["Default"], ["otherwise"], False
    if "Next" in state:
        yield state["Next"], [], False
    catches = state.get("Catch", ())
    for catch in catches:
        every = "any error" if len(catches) == 1 else "any other error"
        yield catch["Next"], [every if name == "States.ALL" else name for name in catch["ErrorEquals"]], True


def _condition(choice: Mapping[str, Any]) -> str:
    variable: str = choice.get("Variable", "").removeprefix("$.")
    operator, value = next((key, each) for key, each in choice.items() if key not in ("Comment", "Next", "Variable"))
    if isinstance(value, bool) and (operator, value) in _CONDITIONS:
        return f"{variable} {_CONDITIONS[operator, value]}"
    return f"{variable} = {value}" if operator == "StringEquals" else f"{variable} {operator} {json.dumps(value)}"


def _says(template: Template, state: Mapping[str, Any]) -> str:
    """What a state calls, or fails with."""
    resource: str = state.get("Resource", "")
    if resource.endswith(":states:::lambda:invoke"):
        called = template.references({"Fn::Sub": state["Parameters"]["FunctionName"]}, FUNCTION)
        return function_name(template, called[0]) if called else "another function"
    return resource.partition(":states:::aws-sdk:")[2] or state.get("Error", "")
