"""The record type: all that is particular to donors, or to whatever else a deployment records."""

import json
from dataclasses import dataclass
from typing import Any

INPUT_LIMIT = 262_144
"""Bytes of input that Step Functions takes (`StartSyncExecution`, and the state between two steps)."""

_SUBMISSION_RESERVE = 5_120
"""Bytes of that input kept for all but the arguments: an `Idempotency-Key` of 256 characters (6 bytes each as JSON),
three names of 64 characters (12 bytes each), the request id and the fields' names."""


@dataclass(frozen=True, kw_only=True)
class LedgerField:
    """A text field of the request that goes to the ledger; `max_length` counts characters."""

    name: str
    max_length: int
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class RecordType:
    """One kind of record: its fields, its data, its chaincode functions and the names that callers see.

    `path` is the API's resource. `identifying_field` names one of `ledger_fields`; `data_field` is the request's field
    with the data in base64, bare or as a data URL. `key_prefix` ends with `/`. `content_types` are the allowed media
    types. `max_data_bytes` bounds the decoded data. The `..._error` are the public error codes.
    Raises ValueError where the values contradict each other or the data could not pass through Step Functions.
    """

    name: str
    path: str
    identifying_field: str
    ledger_fields: tuple[LedgerField, ...]
    data_field: str
    key_prefix: str
    content_types: tuple[str, ...]
    max_data_bytes: int
    create_function: str
    read_function: str
    list_function: str
    query_functions: tuple[str, ...]
    already_exists_error: str
    invalid_data_error: str
    data_too_large_error: str
    not_found_error: str
    object_tampered_error: str
    object_missing_error: str

    def __post_init__(self) -> None:
        names = [field.name for field in self.ledger_fields]
        if self.identifying_field not in names:
            raise ValueError(f"identifying_field: {self.identifying_field!r} is not one of ledger_fields {names}")
        if self.data_field in names:
            raise ValueError(f"data_field: {self.data_field!r} is one of ledger_fields, too")
        if not self.key_prefix.endswith("/"):
            raise ValueError(f"key_prefix: {self.key_prefix!r} must end with '/', such as 'ngo-donor-images/'")
        if (longest := self._longest_arguments()) > self.max_arguments_length:
            raise ValueError(
                f"max_data_bytes: {self.max_data_bytes} bytes in base64 and the longest fields make {longest} "
                f"characters of JSON, and only {self.max_arguments_length} pass through Step Functions"
            )

    @property
    def max_arguments_length(self) -> int:
        """Characters that a request's `chaincodeFunctionArgs` may have as JSON text. The ledger's fields may have two
        more bytes than characters for each of theirs in UTF-8; base64 has none."""
        return INPUT_LIMIT - _SUBMISSION_RESERVE - 2 * sum(field.max_length for field in self.ledger_fields)

    def _longest_arguments(self) -> int:
        """Characters of the longest request this type allows: each of a field's characters as two `\\uXXXX`."""
        longest_type = max(self.content_types, key=len, default="")
        data = len(f"data:{longest_type};base64,") + -(-self.max_data_bytes // 3) * 4
        fields = {field.name: "" for field in self.ledger_fields} | {self.data_field: ""}
        return len(json.dumps(fields)) + data + 12 * sum(field.max_length for field in self.ledger_fields)

    @property
    def invoke_state(self) -> str:
        """The blog post's name for the state that writes to the ledger: `InvokeCreateDonorChaincode`."""
        return f"Invoke{self.create_function[:1].upper()}{self.create_function[1:]}Chaincode"

    @property
    def object_fields(self) -> tuple[str, str, str]:
        """The ledger's fields about the object: its key, hex MD5 and hex SHA-256 (`imageKey`, `imageHash`, ...)."""
        return f"{self.data_field}Key", f"{self.data_field}Hash", f"{self.data_field}Sha256"

    @property
    def too_large_message(self) -> str:
        """What a caller reads whose data is too large to be sent inline."""
        return (
            f"{self.data_field}: over the {self.max_data_bytes // 1024} KiB that a request carries inline. "
            "Send it smaller; line breaks in base64 count."
        )

    def to_environment(self) -> dict[str, str]:
        """The environment of every function: `RECORD_TYPE`."""
        record_type: dict[str, Any] = {
            "name": self.name,
            "path": self.path,
            "identifyingField": self.identifying_field,
            "ledgerFields": [
                {"name": field.name, "required": field.required, "maxLength": field.max_length}
                for field in self.ledger_fields
            ],
            "dataField": self.data_field,
            "keyPrefix": self.key_prefix,
            "contentTypes": self.content_types,
            "maxDataBytes": self.max_data_bytes,
            "createFunction": self.create_function,
            "readFunction": self.read_function,
            "listFunction": self.list_function,
            "alreadyExistsError": self.already_exists_error,
            "invalidDataError": self.invalid_data_error,
            "dataTooLargeError": self.data_too_large_error,
            "notFoundError": self.not_found_error,
            "objectTamperedError": self.object_tampered_error,
            "objectMissingError": self.object_missing_error,
        }
        return {"RECORD_TYPE": json.dumps(record_type)}

    def callable_environment(self) -> dict[str, str]:
        """The environment of the functions that take requests: `CHAINCODE_FUNCTIONS`, what callers may name."""
        functions = {"invoke": [self.create_function], "query": list(self.query_functions)}
        return {"CHAINCODE_FUNCTIONS": json.dumps(functions)}

    def request_schema(self) -> dict[str, Any]:
        """The request body's JSON schema (draft 4). The data has no `maxLength`: a refusal would quote it whole."""
        text = {"type": "string"}
        fields = {
            field.name: text | {"minLength": int(field.required), "maxLength": field.max_length}
            for field in self.ledger_fields
        }
        name = text | {"maxLength": 64}
        return {
            "title": f"Create{self.name}",
            "type": "object",
            "additionalProperties": False,
            "required": ["chaincodeFunctionArgs"],
            "properties": {
                "fabricUsername": name,
                "functionType": name,
                "chaincodeFunction": name,
                "chaincodeFunctionArgs": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": [*(field.name for field in self.ledger_fields if field.required), self.data_field],
                    "properties": fields | {self.data_field: text},
                },
            },
        }


DONOR = RecordType(
    name="Donor",
    path="donors",
    identifying_field="donorUserName",
    ledger_fields=(
        LedgerField(name="donorUserName", max_length=64),
        LedgerField(name="email", max_length=254),
    ),
    data_field="image",
    key_prefix="ngo-donor-images/",
    content_types=("image/png", "image/jpeg", "image/webp", "image/svg+xml"),
    max_data_bytes=184_320,
    create_function="createDonor",
    read_function="queryDonor",
    list_function="queryAllDonors",
    query_functions=("queryDonor", "queryAllDonors"),
    already_exists_error="DonorAlreadyExists",
    invalid_data_error="InvalidImage",
    data_too_large_error="ImageTooLarge",
    not_found_error="DonorNotFound",
    object_tampered_error="ImageTampered",
    object_missing_error="ImageMissing",
)
"""The donor of the aws-samples non-profit-blockchain workshop."""
