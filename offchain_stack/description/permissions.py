"""What roles of a template allow."""

from collections.abc import Iterator
from typing import Any

from .template import Template, text

_VERBS = {
    "s3:Get": "reads",
    "s3:List": "reads",
    "s3:PutObjectVersionTagging": "tags",
    "s3:PutObject": "writes",
    "s3:Delete": "deletes",
}
"""What an action does with a bucket, by how it begins; the first counts."""


def allowed(template: Template, role: Any) -> Iterator[tuple[str, Any]]:
    """Each action, and its resources, that the policies of the role which a property names allow."""
    roles = template.references(role, "AWS::IAM::Role")
    policies = [each for name in roles for each in template.resources[name]["Properties"].get("Policies", [])]
    for policy in template.of_type("AWS::IAM::Policy").values():
        if set(roles) & set(template.references(policy["Roles"])):
            policies.append(policy)
    for policy in policies:
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Allow":
                actions = statement["Action"]
                for action in actions if isinstance(actions, list) else [actions]:
                    yield action, statement["Resource"]


def uses_of_bucket(template: Template, role: Any, bucket: Any) -> list[str]:
    """What the role may do with `bucket`, a name or a reference: reads, writes, tags, deletes."""
    found = set()
    for action, resource in allowed(template, role):
        verb = next((verb for begins, verb in _VERBS.items() if action.startswith(begins)), None)
        if verb and _is_in(template, resource, bucket):
            found.add(verb)
    return [verb for verb in ("reads", "writes", "tags", "deletes") if verb in found]


def _is_in(template: Template, resource: Any, bucket: Any) -> bool:
    if isinstance(bucket, str):
        return f":::{bucket}/" in text(resource) or text(resource).endswith(f":::{bucket}")
    return bool(set(template.references(bucket)) & set(template.references(resource)))
