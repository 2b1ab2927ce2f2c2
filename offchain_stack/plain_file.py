"""Plain values from JSON and YAML. Of a key that an object has twice only one value would count, so it is an error."""

import json
from collections.abc import Hashable, Iterable
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """Refuses repeated keys, and leaves a date as the text that it is."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys: set[str] = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge" and isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
                keys.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(data: str | bytes) -> Any:
    """The value of a YAML or JSON document. Raises ValueError, which says in one line what is wrong and where."""
    try:
        return yaml.load(data, _Loader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        # Without the lines of the file that the error would show, as these may hold a secret.
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ValueError(" ".join(f"{error.context or ''} {error.problem or ''}{where}".split())) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json(text: str) -> Any:
    """The value of a JSON document. Raises ValueError, which says in one line what is wrong and where."""
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


class RepeatedKeyError(ValueError):
    """An object has a key twice."""


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise RepeatedKeyError(f"{key!r} is there twice")
        values[key] = value
    return values
