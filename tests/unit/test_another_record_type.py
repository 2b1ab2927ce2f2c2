"""A record's life with all functions, of a type that has nothing in common with donors."""

from collections.abc import Iterator
from typing import Any

import pytest
from invoke_chaincode import handler as invoke_chaincode
from query_ledger import handler as query_ledger
from shared import errors
from shared.ledger import environment
from sweep import handler as sweep
from upload_object import handler as upload_object
from verify_all import handler as verify_all
from verify_object import handler as verify_object

from offchain_stack.record_type import LedgerField, RecordType
from sandbox import record_type
from sandbox.fabric import FabricEmulation
from sandbox.fabric.ngo import Ngo
from tests.unit.deployment import CACHES, Context, ledger_environment, store_identity
from tests.unit.fabric_fixtures import Fabric, client_identity
from tests.unit.upload_samples import PDF, PNG, encoded

INVOICE = RecordType(
    name="Invoice",
    identifying_field="invoiceNumber",
    ledger_fields=(
        LedgerField(name="invoiceNumber", max_length=40, pattern=r"INV-\d{4}-\d+"),
        LedgerField(name="total", max_length=12, pattern=r"\d+\.\d{2}", required=False),
    ),
    data_field="document",
    content_types=("application/pdf",),
    max_data_bytes=2_000,
    create_function="createInvoice",
    read_function="queryInvoice",
    list_function="queryAllInvoices",
)
ENVIRONMENT = INVOICE.to_environment() | INVOICE.callable_environment()


@pytest.fixture(scope="module")
def network() -> Iterator[Fabric]:
    chaincode = Ngo([record_type.RecordType.from_json(ENVIRONMENT["RECORD_TYPE"])])
    with FabricEmulation(batch_timeout=0.02, chaincodes={"ngo": chaincode}) as emulation:
        yield Fabric(emulation, client_identity(emulation))


@pytest.fixture
def deployed(network: Fabric, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """All functions as deployed; the bucket."""
    settings = {
        "S3_BUCKET": bucket.name,
        "URL_EXPIRES_SECONDS": "300",
        "MINIMUM_AGE_SECONDS": "0",
        "UNRETIRABLE_AGE_SECONDS": "86400",
        "LOOK_BACK_DAYS": "14",
    }
    for name, value in (ledger_environment(network) | ENVIRONMENT | settings).items():
        monkeypatch.setenv(name, value)
    store_identity(network.identity)
    caches = (*CACHES, upload_object.uploader, verify_object.presenter)
    for cache in caches:
        cache.cache_clear()
    yield bucket
    environment.ledger().close()
    for cache in caches:
        cache.cache_clear()


def upload(number: str = "INV-2026-1", **changes: Any) -> dict[str, Any]:
    execution_id = changes.pop("executionId", number)
    arguments = {"invoiceNumber": number, "total": "12.50", "document": encoded(PDF)} | changes
    event = {"chaincodeFunctionArgs": arguments, "executionId": execution_id}
    return upload_object.handler(event, Context())  # type: ignore[no-any-return]


def create(uploaded: dict[str, Any]) -> str:
    about_object = {name: uploaded[name] for name in INVOICE.object_fields}
    arguments = uploaded["record"] | about_object
    event = {"chaincodeFunctionArgs": arguments, "submission": uploaded, "attempt": "first"}
    return invoke_chaincode.handler(event, Context(3.0))["transactionId"]  # type: ignore[no-any-return]


def query(kind: str, **event: Any) -> dict[str, Any]:
    return query_ledger.handler({"query": kind} | event, Context(3.0))  # type: ignore[no-any-return]


def test_a_record_is_made_read_verified_and_swept(deployed: Any) -> None:
    first, orphan = upload(), upload("INV-2026-2")
    assert first["documentKey"] == f"invoices/INV-2026-1/{first['submissionId']}.pdf"
    assert deployed.Object(first["documentKey"]).content_type == "application/pdf"
    assert create(first) == first["transactionIds"][0]

    found = query("record", identifier="INV-2026-1", verify="", inline="true")
    fields = {"invoiceNumber": "INV-2026-1", "total": "12.50"} | {name: first[name] for name in INVOICE.object_fields}
    assert found["answer"] == fields
    assert query("list")["invoices"] == [fields]
    document = verify_object.handler(found, Context())["answer"]["document"]
    assert (document["integrity"], document["contentType"]) == ("VERIFIED", "application/pdf")
    assert document["dataUrl"] == f"data:application/pdf;base64,{encoded(PDF)}"
    assert "attachment" in document["url"]

    counts = verify_all.handler({}, Context(200.0))["counts"]
    assert {outcome: number for outcome, number in counts.items() if number} == {"verified": 1, "unrecorded": 1}
    swept = sweep.handler({}, Context())
    assert (swept["committed"], swept["dead"]) == (1, 1)
    assert [version.object_key for version in deployed.object_versions.all()] == [first["documentKey"]]
    assert orphan["documentKey"] != first["documentKey"]


def test_every_refusal_is_in_the_types_own_words(deployed: Any) -> None:
    """Its error codes and field names, and nothing of donors or pictures."""
    created = upload("INV-2026-3")
    create(created)
    gone = query("record", identifier="INV-2026-3", verify="", inline="")
    refusals = {
        "InvalidDocument": lambda: upload(document=encoded(PNG)),
        "DocumentTooLarge": lambda: upload(document=encoded(PDF + b"\0" * 2_000)),
        "InvoiceAlreadyExists": lambda: create(upload("INV-2026-3", executionId="another")),
        "InvoiceNotFound": lambda: query("record", identifier="INV-2026-9"),
        "DocumentTampered": lambda: (
            deployed.put_object(Key=created["documentKey"], Body=PDF + b"\n"),
            verify_object.handler(gone, Context()),
        ),
        "DocumentMissing": lambda: (
            deployed.Object(created["documentKey"]).delete(),
            verify_object.handler(gone, Context()),
        ),
    }
    for code, refused in refusals.items():
        with pytest.raises(errors.OffchainError) as refusal:
            refused()
        assert type(refusal.value).__name__ == code
        assert "donor" not in str(refusal.value).lower()
        assert "image:" not in str(refusal.value)


@pytest.mark.parametrize("number", ["INV-26-1", "INV-2026-1\n", "xINV-2026-1", "INV-2026-\u0661", "%49NV-2026-"])
def test_the_pattern_holds_where_a_record_is_made_and_where_it_is_read(number: str, deployed: Any) -> None:
    said = r"invoiceNumber: must match the pattern INV-\d{4}-\d+ as a whole."
    for refused in (lambda: upload(number), lambda: query("record", identifier=number)):
        with pytest.raises(errors.InvalidRequest) as refusal:
            refused()
        assert refusal.value.message == said


def test_a_field_that_may_be_left_out_matches_where_it_is_given(deployed: Any) -> None:
    for total in ("12.5", ""):
        with pytest.raises(errors.InvalidRequest, match="total: must match the pattern"):
            upload("INV-2026-4", total=total)
    event = {"chaincodeFunctionArgs": {"invoiceNumber": "INV-2026-4", "document": encoded(PDF)}}
    assert upload_object.handler(event, Context())["record"] == {"invoiceNumber": "INV-2026-4"}


def test_what_is_read_is_percent_decoded_before_it_is_held_against_the_pattern(deployed: Any) -> None:
    with pytest.raises(errors.RecordNotFound):
        query("record", identifier="%49NV-2026-77")
