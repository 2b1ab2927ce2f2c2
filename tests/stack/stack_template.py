"""Reading a synthesized template."""

import json
import re
from pathlib import Path
from typing import Any

Template = dict[str, Any]


def reviewed() -> dict[str, Template]:
    """The snapshots: the default stack's template, and each example's; a settings file's is what it makes different."""
    found = {}
    for path in sorted((Path(__file__).parent / "__snapshots__").glob("*/*.json")):
        content = json.loads(path.read_text("utf-8"))
        resources = content.get("Resources", content)
        named = re.search(r"\[(.+)\]$", path.stem)
        there = {name: each for name, each in resources.items() if each is not None}
        found[named[1] if named else "default"] = {"Resources": there}
    return found


def of_type(template: Template, kind: str) -> dict[str, Any]:
    """The properties of the template's resources of one type, by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def only(template: Template, kind: str) -> Any:
    """The properties of the template's one resource of a type."""
    (properties,) = of_type(template, kind).values()
    return properties


def definition(template: Template) -> dict[str, Any]:
    """The create flow's definition, references written as `<LogicalId.Attribute>`."""
    return json.loads(flat(create_workflow(template)["DefinitionString"]))  # type: ignore[no-any-return]


def create_workflow(template: Template) -> Any:
    """The properties of the create flow's state machine."""
    return _machine(template, "S3Upload")


def read_workflow(template: Template) -> Any:
    """The properties of the read flow's state machine."""
    return _machine(template, "QueryRecord")


def _machine(template: Template, state: str) -> Any:
    machines = of_type(template, "AWS::StepFunctions::StateMachine").values()
    (properties,) = [each for each in machines if f'"{state}"' in flat(each["DefinitionString"])]
    return properties


def create_method(template: Template) -> Any:
    """The properties of the API's `POST`."""
    (method,) = [each for each in of_type(template, "AWS::ApiGateway::Method").values() if each["HttpMethod"] == "POST"]
    return method


def flat(value: Any) -> str:
    match value:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(flat, parts))
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^}]+)\}", r"<\1>", text)
        case _:
            return str(value)


def aslist(value: Any) -> list[Any]:
    """What a policy may write as one value or as a list of them."""
    return value if isinstance(value, list) else [value]


def normalised(template: Template) -> Any:
    """The template without what changes with every source: asset hashes, and the Deployment's logical id."""
    text = json.dumps(template)
    text = re.sub(r"[0-9a-f]{64}\.zip", "ASSET.zip", text)
    return json.loads(re.sub(r"(Deployment[0-9A-F]{8})[0-9a-f]{32}", r"\1", text))
