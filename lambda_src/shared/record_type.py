"""The record type: all that is particular to what a deployment records."""

import functools
import json
import os
from dataclasses import dataclass
from typing import Any

from . import errors


@dataclass(frozen=True, kw_only=True)
class LedgerField:
    """A text field of the request that goes to the ledger; `max_length` counts characters, and the whole value matches
    the regular expression `pattern`, in which `\\d` and `\\w` mean ASCII; None: any text."""

    name: str
    required: bool
    max_length: int
    pattern: str | None = None


@dataclass(frozen=True, kw_only=True)
class RecordType:
    """One kind of record, as the deployment hands it to the functions in `RECORD_TYPE` (JSON, camelCase names).

    `path` is the API's resource, and names the records in a list. `identifying_field` names one of `ledger_fields`;
    `data_field` is the request's field with the data in base64.
    `key_prefix` ends with `/`. `content_types` are the allowed media types. `max_data_bytes` bounds the decoded data.
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
    already_exists_error: str
    invalid_data_error: str
    data_too_large_error: str
    not_found_error: str
    object_tampered_error: str
    object_missing_error: str

    @classmethod
    def from_json(cls, text: str) -> "RecordType":
        """Read the JSON object that the deployment wrote; raises KeyError or ValueError where it is not one."""
        value: dict[str, Any] = json.loads(text)
        return cls(
            name=value["name"],
            path=value["path"],
            identifying_field=value["identifyingField"],
            ledger_fields=tuple(
                LedgerField(
                    name=field["name"],
                    required=field["required"],
                    max_length=field["maxLength"],
                    pattern=field.get("pattern"),
                )
                for field in value["ledgerFields"]
            ),
            data_field=value["dataField"],
            key_prefix=value["keyPrefix"],
            content_types=tuple(value["contentTypes"]),
            max_data_bytes=value["maxDataBytes"],
            create_function=value["createFunction"],
            read_function=value["readFunction"],
            list_function=value["listFunction"],
            already_exists_error=value["alreadyExistsError"],
            invalid_data_error=value["invalidDataError"],
            data_too_large_error=value["dataTooLargeError"],
            not_found_error=value["notFoundError"],
            object_tampered_error=value["objectTamperedError"],
            object_missing_error=value["objectMissingError"],
        )

    @property
    def key_field(self) -> str:
        """The ledger's field for the object key, such as `imageKey`."""
        return f"{self.data_field}Key"

    @property
    def hash_field(self) -> str:
        """The ledger's field for the hex MD5, such as `imageHash`."""
        return f"{self.data_field}Hash"

    @property
    def sha256_field(self) -> str:
        """The ledger's field for the hex SHA-256, such as `imageSha256`."""
        return f"{self.data_field}Sha256"

    @property
    def identifying(self) -> LedgerField:
        """The ledger field that identifies a record."""
        return next(field for field in self.ledger_fields if field.name == self.identifying_field)

    def already_exists(self, message: str) -> errors.OffchainError:
        return errors.named(errors.RecordAlreadyExists, self.already_exists_error)(message)

    def invalid_data(self, message: str) -> errors.OffchainError:
        return errors.named(errors.InvalidData, self.invalid_data_error)(message)

    def data_too_large(self, message: str) -> errors.OffchainError:
        return errors.named(errors.DataTooLarge, self.data_too_large_error)(message)

    def not_found(self, message: str) -> errors.OffchainError:
        return errors.named(errors.RecordNotFound, self.not_found_error)(message)

    def object_tampered(self, message: str, **details: str | int | bool) -> errors.OffchainError:
        return errors.named(errors.ObjectTampered, self.object_tampered_error)(message, details=details)

    def object_missing(self, message: str, **details: str | int | bool) -> errors.OffchainError:
        return errors.named(errors.ObjectMissing, self.object_missing_error)(message, details=details)


@functools.cache
def from_environment() -> RecordType:
    """The record type of this function's deployment, from `RECORD_TYPE`."""
    return RecordType.from_json(os.environ["RECORD_TYPE"])
