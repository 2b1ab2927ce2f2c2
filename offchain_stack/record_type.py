"""The record type: all that is particular to donors, or to whatever else a deployment records."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import with_config

from .mistakes import camel_case
from .model import MODEL, Count, Form, IfGiven, checked, one_of, read

INPUT_LIMIT = 262_144
"""Bytes of input that Step Functions takes (`StartSyncExecution`, and the state between two steps)."""

CONTENT_TYPES = (
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/svg+xml",
    "application/pdf",
    "application/octet-stream",
)
"""The media types that the functions know. The last stands for any bytes that no other allowed type claims."""

_SUBMISSION_RESERVE = 5_632
"""Bytes of that input kept for all but the arguments: an `Idempotency-Key` of 256 characters and a correlation id of
128 (6 bytes each as JSON), three names and a caller of 64 characters (12 bytes each), and the fields' names."""

_RESERVED_FIELDS = frozenset(
    {
        "correlationId",
        "requestId",
        "idempotencyKey",
        "fabricUsername",
        "functionType",
        "chaincodeFunction",
        "caller",
        "transactionId",
    }
)
"""What travels beside the fields, in the request or in the answer."""

_FIXED_ERRORS = frozenset(
    {
        "InvalidRequest",
        "IdempotencyKeyReused",
        "Forbidden",
        "ChaincodeRejected",
        "TooManyRequests",
        "EndorsementFailed",
        "TransactionInvalid",
        "LedgerUnavailable",
        "StorageUnavailable",
        "RecordUnreadable",
        "OutcomeUnknown",
        "InternalError",
    }
)
"""Error names that mean the same for every record type."""

_NAME = Form(r"[A-Z][A-Za-z0-9]{0,39}", "must be letters and digits, such as 'Invoice'")
_FIELD = Form(
    r"[A-Za-z][A-Za-z0-9_]{0,63}", "must be a letter and up to 63 letters, digits or '_', such as 'invoiceNumber'"
)
_PATH = Form(
    r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}",
    "must be one segment of a URL's path, of letters, digits, '-' and '_', such as 'invoices'",
    or_empty=True,
)
_KEY_PREFIX = Form(
    r"(?!.{513})(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)+",
    "must be parts of letters, digits, '.', '-' and '_' that each end with '/', such as 'ngo-donor-images/'",
    or_empty=True,
)
_FUNCTION = Form(
    r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}",
    "must be a chaincode function's name of at most 64 letters, digits, '_', '.', ':' and '-', such as 'createInvoice'",
)
_ERROR = Form(r"[A-Z][A-Za-z0-9_]{0,127}", "must be letters, digits and '_', such as 'InvoiceNotFound'", or_empty=True)

_EXOTIC = r"\x00-\x1f\x7f-\x9f\ud800-\udfff\U00010000-\U0010ffff"
_LITERAL = rf"[^\\^$.|?*+()\[\]{{}}{_EXOTIC}]"
_ESCAPED = r"\\[dw!-/:-@\[-^`{-~]"
_CLASS = rf"\[(?:(?!--)[^\\^\[\]&~|{_EXOTIC}]|{_ESCAPED})+\]"
_PATTERN = re.compile(
    rf"(?:{_LITERAL}|{_ESCAPED}|{_CLASS}"
    r"|\((?:\?:|(?![?*+{]))|\)|\||(?:[?*+]|\{\d+(?:,\d*)?\})(?![?*+{]))+"
)
"""The regular expressions that mean the same to API Gateway (ECMA 262, without flags) and to Python."""


def _checked_pattern(pattern: str) -> str:
    if not _PATTERN.fullmatch(pattern):
        raise ValueError(
            f"{pattern!r} must be made of what means the same to API Gateway and to Python, such as 'INV-[0-9]{{4}}': "
            "no '.', '[^...]', '^', '$', lazy repetitions, look-around, references or names; the whole value is matched"
        )
    try:
        re.compile(pattern, re.ASCII)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return pattern


@with_config(MODEL)
@dataclass(frozen=True, kw_only=True)
class LedgerField:
    """A text field of the request that goes to the ledger. Raises ValueError that names the prop.

    * `name` (str): the field's name in the request, in the chaincode's argument and in answers: a letter, then up to 63
      letters, digits and `_`.
    * `max_length` (int): the most characters that a value may have, from 1 on.
    * `required` (bool, True): whether a request must have it, and not empty.
    * `pattern` (str, None): a regular expression that the whole value must match; None: any text. It is checked by API
      Gateway and by the functions, so that only what means the same to both is allowed: characters as themselves, `\\`
      before punctuation, `\\d` (0 to 9), `\\w` (ASCII letters, digits, `_`), classes such as `[A-Z_]` but not `[^...]`,
      groups `(...)` and `(?:...)`, `|`, and the repetitions `?`, `*`, `+`, `{3}`, `{3,}`, `{3,5}`. An example:
      `INV-\\d{4}-[A-Z]+`. A repetition of what is repeated already, such as `(a+)+`, can take very long: avoid it.
    """

    name: Annotated[str, _FIELD]
    max_length: Count
    required: bool = True
    pattern: Annotated[IfGiven[str], checked(_checked_pattern, text="such as INV-[0-9]{4}")] = None

    def __post_init__(self) -> None:
        _refuse(self._mistakes())

    def _mistakes(self) -> Iterator[str]:
        yield from _wrong("name", _FIELD.require, self.name)
        if self.max_length < 1:
            yield f"max_length: {self.max_length} characters hold no text; give 1 or more"
        if self.pattern is not None:
            yield from _wrong("pattern", _checked_pattern, self.pattern)


@with_config(MODEL)
@dataclass(frozen=True, kw_only=True)
class RecordType:
    """One kind of record: its fields, its data, its chaincode functions and the names that callers see.

    What has a default may be left out. An empty text, or an empty tuple, stands for the default.

    * `name` (str): what one record is called, such as `Invoice`: a capital letter, then up to 39 letters and digits.
    * `identifying_field` (str): the one of `ledger_fields` under which a record is found. It must be required.
    * `ledger_fields` (tuple of LedgerField): the text fields that go to the ledger.
    * `data_field` (str): the request's field with the data in base64, bare or as a data URL, named like a ledger field.
      On the ledger it becomes three: `documentKey`, `documentHash` and `documentSha256` for `document`.
    * `content_types` (tuple of str): the allowed media types, of CONTENT_TYPES. Bytes decide, not what a caller says.
    * `create_function`, `read_function`, `list_function` (str): the chaincode's functions that write one record, return
      it, and return all; up to 64 characters.
    * `query_functions` (tuple of str; the two that read): what a caller of the chaincode function may name to query.
    * `path` (str; the name with a small first letter and an `s`: `invoices`): the API's resource, and the name of the
      records in a list. Letters, digits, `-` and `_`, but not `transactions`.
    * `key_prefix` (str; the path and `/`): what object keys begin with: parts of letters, digits, `.`, `-` and `_`,
      each with `/` at its end, 512 characters at most.
    * `max_data_bytes` (int; 184,320): the most bytes that the decoded data may have. Step Functions bounds it.
    * `already_exists_error`, `not_found_error` (str; `InvoiceAlreadyExists`, `InvoiceNotFound`), `invalid_data_error`,
      `data_too_large_error`, `object_tampered_error`, `object_missing_error` (str; `InvalidDocument`,
      `DocumentTooLarge`, `DocumentTampered`, `DocumentMissing`, of the data field): the public error codes. They differ
      from each other and from the codes that are the same for every record type.

    Raises ValueError that names the prop where a value is wrong, the values contradict each other, or the largest
    request could not pass through Step Functions.
    """

    name: Annotated[str, _NAME]
    path: Annotated[str, _PATH] = ""
    identifying_field: str
    ledger_fields: tuple[LedgerField, ...]
    data_field: Annotated[str, _FIELD]
    key_prefix: Annotated[str, _KEY_PREFIX] = ""
    content_types: tuple[Annotated[str, one_of(CONTENT_TYPES)], ...]
    max_data_bytes: Count = 184_320
    create_function: Annotated[str, _FUNCTION]
    read_function: Annotated[str, _FUNCTION]
    list_function: Annotated[str, _FUNCTION]
    query_functions: tuple[Annotated[str, _FUNCTION], ...] = ()
    already_exists_error: Annotated[str, _ERROR] = ""
    invalid_data_error: Annotated[str, _ERROR] = ""
    data_too_large_error: Annotated[str, _ERROR] = ""
    not_found_error: Annotated[str, _ERROR] = ""
    object_tampered_error: Annotated[str, _ERROR] = ""
    object_missing_error: Annotated[str, _ERROR] = ""

    def __post_init__(self) -> None:
        # The others have defaults that are made of these.
        _refuse(
            [
                *_wrong("name", _NAME.require, self.name),
                *_wrong("data_field", _FIELD.require, self.data_field),
            ]
        )
        for prop, value in self._derived().items():
            if not getattr(self, prop):
                object.__setattr__(self, prop, value)
        _refuse(
            [
                *self._unusable_names(),
                *self._wrong_fields(),
                *self._wrong_error_codes(),
                *self._wrong_content_types(),
                *self._wrong_size(),
            ]
        )

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "RecordType":
        """The record type that `values` describe: the props in camelCase, as in a settings file, `ledgerFields` as
        objects. Raises ValueError that names the key which is unknown, missing or wrong."""
        return read(cls, values)

    def _derived(self) -> dict[str, Any]:
        path = self.path or f"{self.name[0].lower()}{self.name[1:]}s"
        data = f"{self.data_field[0].upper()}{self.data_field[1:]}"
        return {
            "path": path,
            "key_prefix": f"{path}/",
            "query_functions": tuple(dict.fromkeys((self.read_function, self.list_function))),
            "already_exists_error": f"{self.name}AlreadyExists",
            "invalid_data_error": f"Invalid{data}",
            "data_too_large_error": f"{data}TooLarge",
            "not_found_error": f"{self.name}NotFound",
            "object_tampered_error": f"{data}Tampered",
            "object_missing_error": f"{data}Missing",
        }

    def _unusable_names(self) -> Iterator[str]:
        yield from _wrong("path", _PATH.require, self.path)
        if self.path in ("transactions", "nextToken"):
            yield f"path: {self.path!r} is the API's own; choose another, such as 'invoices'"
        yield from _wrong("key_prefix", _KEY_PREFIX.require, self.key_prefix)
        functions = [(prop, getattr(self, prop)) for prop in ("create_function", "read_function", "list_function")]
        others = {*self.query_functions} - {name for _, name in functions}
        for prop, name in [*functions, *(("query_functions", other) for other in sorted(others))]:
            yield from _wrong(prop, _FUNCTION.require, name)

    def _wrong_fields(self) -> Iterator[str]:
        names = [field.name for field in self.ledger_fields]
        if repeated := _repeated(names):
            yield f"ledger_fields: {repeated!r} stands there twice; give each field a name of its own"
        identifying = [field for field in self.ledger_fields if field.name == self.identifying_field]
        if not identifying:
            yield f"identifying_field: {self.identifying_field!r} is not one of ledger_fields {names}"
        elif not identifying[0].required:
            yield f"identifying_field: {self.identifying_field!r} must be required"
        if self.data_field in names:
            yield f"data_field: {self.data_field!r} is one of ledger_fields, too"
        if taken := sorted({*names} & _RESERVED_FIELDS):
            yield f"ledger_fields: {taken[0]!r} has a meaning of its own; choose another name"
        if taken := sorted({*names} & {*self.object_fields}):
            yield f"ledger_fields: {taken[0]!r} is made of data_field {self.data_field!r}; choose another"
        if taken := sorted({self.data_field, *self.object_fields} & _RESERVED_FIELDS):
            yield f"data_field: {self.data_field!r} makes {taken[0]!r}, which has a meaning of its own"

    def _wrong_error_codes(self) -> Iterator[str]:
        codes = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name.endswith("_error")
        }
        for index, (prop, code) in enumerate(codes.items()):
            yield from _wrong(prop, _ERROR.require, code)
            if code in _FIXED_ERRORS:
                yield f"{prop}: {code!r} means the same for every record type; choose another"
            if twins := [other for other in list(codes)[index + 1 :] if codes[other] == code]:
                yield f"{prop}: {code!r} is the {twins[0]}, too; give each a code of its own"

    def _wrong_content_types(self) -> Iterator[str]:
        if not self.content_types:
            yield f"content_types: give one at least of {', '.join(CONTENT_TYPES)}"
        if repeated := _repeated(self.content_types):
            yield f"content_types: {repeated!r} stands there twice"
        for content_type in self.content_types:
            if content_type not in CONTENT_TYPES:
                yield f"content_types: {content_type!r} is not known; known are {', '.join(CONTENT_TYPES)}"

    def _wrong_size(self) -> Iterator[str]:
        if self.max_data_bytes < 1:
            yield f"max_data_bytes: {self.max_data_bytes} bytes hold no data; give 1 or more"
        if (longest := self._longest_arguments()) > self.max_arguments_length:
            yield (
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
        record_type: dict[str, Any] = {camel_case(f.name): getattr(self, f.name) for f in dataclasses.fields(self)}
        del record_type["queryFunctions"]
        record_type["ledgerFields"] = [
            {"name": field.name, "required": field.required, "maxLength": field.max_length}
            | ({"pattern": field.pattern} if field.pattern else {})
            for field in self.ledger_fields
        ]
        return {"RECORD_TYPE": json.dumps(record_type)}

    def callable_environment(self) -> dict[str, str]:
        """The environment of the functions that take requests: `CHAINCODE_FUNCTIONS`, what callers may name."""
        functions = {"invoke": [self.create_function], "query": list(self.query_functions)}
        return {"CHAINCODE_FUNCTIONS": json.dumps(functions)}

    def request_schema(self) -> dict[str, Any]:
        """The request body's JSON schema (draft 4). The data has no `maxLength`: a refusal would quote it whole."""
        text = {"type": "string"}
        fields = {
            field.name: text
            | {"minLength": int(field.required), "maxLength": field.max_length}
            | ({"pattern": f"^(?:{field.pattern})$"} if field.pattern else {})
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


def _wrong(prop: str, require: Callable[[str], object], value: str) -> Iterator[str]:
    """What `require` says of the prop's value, if it raises ValueError."""
    try:
        require(value)
    except ValueError as error:
        yield f"{prop}: {error}"


def _refuse(mistakes: Iterable[str]) -> None:
    if text := "\n".join(mistakes):
        raise ValueError(text)


def _repeated(values: Sequence[str]) -> str | None:
    return next((value for index, value in enumerate(values) if value in values[:index]), None)


DONOR = RecordType(
    name="Donor",
    identifying_field="donorUserName",
    ledger_fields=(
        LedgerField(name="donorUserName", max_length=64),
        LedgerField(name="email", max_length=254),
    ),
    data_field="image",
    key_prefix="ngo-donor-images/",
    content_types=("image/png", "image/jpeg", "image/webp", "image/svg+xml"),
    create_function="createDonor",
    read_function="queryDonor",
    list_function="queryAllDonors",
)
"""The donor of the aws-samples non-profit-blockchain workshop."""
