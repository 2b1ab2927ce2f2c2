"""What starts a state machine: methods of the REST API, and schedules."""

from collections.abc import Iterator
from typing import Any

from .template import Template

MACHINE = "AWS::StepFunctions::StateMachine"


def starts(template: Template) -> dict[str, list[str]]:
    """Methods, such as `POST /donors`, and schedules, such as `rate(1 hour)`, by the logical id of what they start."""
    found: dict[str, list[str]] = {}
    for start, value in [*_methods(template), *_schedules(template)]:
        for machine in template.references(value, MACHINE):
            found.setdefault(machine, []).append(start)
    return {machine: sorted(each) for machine, each in found.items()}


def _methods(template: Template) -> Iterator[tuple[str, Any]]:
    for method in template.of_type("AWS::ApiGateway::Method").values():
        path = template.path(method["ResourceId"])
        templates = method["Integration"].get("RequestTemplates")
        yield f"{method['HttpMethod']} {path or '(a resource of another stack)'}", templates


def _schedules(template: Template) -> Iterator[tuple[str, Any]]:
    for rule in template.of_type("AWS::Events::Rule").values():
        if "ScheduleExpression" in rule:
            yield rule["ScheduleExpression"], rule.get("Targets")
    for schedule in template.of_type("AWS::Scheduler::Schedule").values():
        yield schedule["ScheduleExpression"], schedule["Target"]
