"""What CloudFormation replaces when a template changes: a resource whose logical id, type or create-only property does.

Which properties are create-only says each type's schema in the CloudFormation registry, as cfn-lint ships it.
"""

import functools
from typing import Any

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from stack_template import Template

Identity = dict[str, Any]
"""Of a resource: `type`, and `properties`, its create-only ones that are set, by their paths."""


@functools.cache
def create_only(kind: str) -> tuple[str, ...]:
    """The paths, such as `DnsOptions/PrivateDnsPreference`, of what cannot change, or not always, without replacement.

    A resource of a custom type (`Custom::...`) is replaced as the function behind it decides; of these only what
    CloudFormation itself decides is known.
    """
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    paths = [*schema.get("createOnlyProperties", ()), *schema.get("conditionalCreateOnlyProperties", ())]
    return tuple(path.removeprefix("/properties/") for path in paths)


def identities(template: Template) -> dict[str, Identity]:
    """Each resource's, by logical id."""
    return {name: _identity(resource) for name, resource in sorted(template["Resources"].items())}


def _identity(resource: dict[str, Any]) -> Identity:
    found = {}
    for path in sorted(create_only(resource["Type"])):
        value: Any = resource.get("Properties", {})
        for part in path.split("/"):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            found[path] = value
    return {"type": resource["Type"], "properties": found}


def replaced(before: dict[str, Identity], after: dict[str, Identity], kinds: frozenset[str]) -> list[str]:
    """Of the resources of `kinds` that were there `before`, those that are not kept, and why."""
    findings = []
    for name, identity in before.items():
        if identity["type"] not in kinds:
            continue
        now = after.get(name)
        if now is None:
            findings.append(f"{name}: there is no such resource any more")
        elif now["type"] != identity["type"]:
            findings.append(f"{name}: was {identity['type']} and is {now['type']}")
        else:
            findings += [
                f"{name}: {path} was {identity['properties'].get(path)} and is {now['properties'].get(path)}"
                for path in sorted({*identity["properties"], *now["properties"]})
                if identity["properties"].get(path) != now["properties"].get(path)
            ]
    return findings
