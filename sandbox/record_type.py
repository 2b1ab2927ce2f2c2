"""The record types of an assembly, as its functions have them in their environment."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RecordType:
    """What the sandbox needs of one. `path` is the API's resource, such as `donors`, and the name to ask for it by;
    `identifying_field` is the ledger's field that identifies a record; the `..._function` are the chaincode's."""

    name: str
    path: str
    identifying_field: str
    create_function: str
    read_function: str
    list_function: str

    @classmethod
    def from_json(cls, text: str) -> "RecordType":
        """Read a function's `RECORD_TYPE`."""
        value: dict[str, Any] = json.loads(text)
        return cls(
            name=value["name"],
            path=value["path"],
            identifying_field=value["identifyingField"],
            create_function=value["createFunction"],
            read_function=value["readFunction"],
            list_function=value["listFunction"],
        )
