"""Reading a synthesized CloudFormation template."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SUBSTITUTED = re.compile(r"\$\{([A-Za-z0-9]+)(?:\.[\w.]+)?\}")


@dataclass(frozen=True)
class Template:
    """One stack's template. `resources` maps a logical id to its resource as the template has it."""

    resources: Mapping[str, Any]

    @classmethod
    def load(cls, path: Path) -> "Template":
        """Read a template file, or the one template of a cloud assembly (`cdk.out`). Raises ValueError where `path` is
        neither."""
        file = path
        if path.is_dir():
            files = sorted(path.glob("*.template.json"))
            if len(files) != 1:
                named = ", ".join(each.name for each in files) or "none"
                raise ValueError(f"{path}: one template is needed, and it has {named}. Name the file.")
            (file,) = files
        try:
            resources = json.loads(file.read_text("utf-8"))["Resources"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{file}: is no CloudFormation template in JSON ({error}). Give one made by cdk synth."
            ) from error
        return cls(resources)

    def of_type(self, kind: str) -> dict[str, Any]:
        """The properties of the resources of one type, by logical id."""
        return {name: each.get("Properties", {}) for name, each in self.resources.items() if each["Type"] == kind}

    def references(self, value: Any, kind: str = "") -> list[str]:
        """The logical ids of the resources that `value` refers to, of one type or of all, in the order of the text."""
        found = dict.fromkeys(name for name in _references(value) if name in self.resources)
        return [name for name in found if not kind or self.resources[name]["Type"] == kind]

    def path(self, resource: Any) -> str | None:
        """The path of the REST API's resource that a property names; None where the template does not have it."""
        match resource:
            case {"Fn::GetAtt": [_, "RootResourceId"]}:
                return "/"
            case {"Ref": name} if name in self.resources:
                properties = self.resources[name]["Properties"]
                parent = properties["ParentId"]
                # The root of an API that is not in the template is an id.
                above = "/" if isinstance(parent, str) else self.path(parent)
                return above and f"{above.rstrip('/')}/{properties['PathPart']}"
        return None


def short_name(logical_id: str) -> str:
    """A logical id without the hash that CDK puts at its end."""
    return re.sub(r"[0-9A-F]{8}$", "", logical_id)


def text(value: Any) -> str:
    """A property's text; `${LogicalId}` or `${LogicalId.Attribute}` stands for what only a deployment knows."""
    match value:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(text, parts))
        case {"Fn::Sub": str(substituted)} | {"Fn::Sub": [str(substituted), *_]}:
            return substituted
        case {"Ref": name}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"${{{name}.{attribute}}}"
        case _:
            return value if isinstance(value, str) else json.dumps(value)


def _references(value: Any) -> Iterator[str]:
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::Sub": substituted}:
            for part in substituted if isinstance(substituted, list) else [substituted]:
                yield from _SUBSTITUTED.findall(part) if isinstance(part, str) else _references(part)
        case Mapping():
            for part in value.values():
                yield from _references(part)
        case list():
            for part in value:
                yield from _references(part)
