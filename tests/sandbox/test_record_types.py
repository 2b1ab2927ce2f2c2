"""Donors, and invoices as PDF, in one sandbox: each with words, keys and functions of its own, blind to the other."""

import base64
import hashlib
import http.client
import json
import os
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import raw_fabric
from test_verify_all_command import verify_all
from world import World, png, refused

from sandbox.__main__ import ready_line
from sandbox.assembly import ROOT, Assembly
from sandbox.fabric import FabricEmulation
from sandbox.fabric.ngo import Ngo
from sandbox.record_type import RecordType
from sandbox.runtime import Sandbox

SETTINGS = ROOT / "examples" / "settings" / "record-types.yaml"
ADDED = ("createInvoice", "queryInvoice", "queryAllInvoices")


def pdf() -> bytes:
    """A valid PDF of one empty page, like no other."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Resources << >> /Id (%s) >>" % os.urandom(8).hex().encode(),
    ]
    data, offsets = b"%PDF-1.7\n", []
    for number, each in enumerate(objects, 1):
        offsets.append(b"%010d 00000 n \n" % len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"xref\n0 4\n0000000000 65535 f \n" + b"".join(offsets) + b"trailer\n<< /Size 4 /Root 1 0 R >>\n"
    return data + table + b"startxref\n%d\n%%%%EOF\n" % len(data)


class Invoices(World):
    """Sends requests about invoices. `name` is the invoice's number."""

    records = "invoices"
    key_prefix = "invoices/"

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self.name = f"INV-2026-{int.from_bytes(os.urandom(3)) % 10_000_000}"
        self.document = pdf()

    def arguments(self, **changes: Any) -> dict[str, Any]:
        document = base64.b64encode(self.document).decode()
        return {"invoiceNumber": self.name, "supplier": "O'Łukasz & Söhne", "document": document} | changes

    def record(self, name: str | None = None) -> Any:
        value = self.sandbox.ledger.record("ngo", f"Invoice:{name or self.name}")
        return None if value is None else json.loads(value)


def unhurried(assembly: Assembly) -> Assembly:
    """The sweep looks at versions of any age."""
    functions = {
        arn: replace(each, environment={**each.environment, "MINIMUM_AGE_SECONDS": "0"})
        if each.folder == "sweep"
        else each
        for arn, each in assembly.functions.items()
    }
    return replace(assembly, functions=functions)


@pytest.fixture(scope="module")
def both(assembly_of: Callable[[Path], Path]) -> Iterator[Sandbox]:
    with Sandbox(assembly=assembly_of(SETTINGS), adapt=unhurried) as running:
        yield running


@pytest.fixture
def invoices(both: Sandbox) -> Iterator[Invoices]:
    yield Invoices(both)
    both.faults.clear()
    both.ledger.faults.clear()


@pytest.fixture
def donors(both: Sandbox) -> World:
    return World(both)


def fetch(url: str) -> tuple[str, bytes]:
    """Content type and bytes that a presigned URL gives."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    connection.request("GET", f"{parts.path}?{parts.query}")
    response = connection.getresponse()
    data = response.read()
    connection.close()
    assert response.status == 200, data
    return response.headers["Content-Type"], data


def test_under_one_name_and_one_idempotency_key_each_type_has_its_own_record(donors: World, invoices: Invoices) -> None:
    donors.name = invoices.name
    status, invoice = invoices.create(key="first", note="")
    assert status == 200, invoice
    status, donor = donors.create(key="first")
    assert status == 200, donor
    assert invoice["transactionId"] != donor["transactionId"]
    assert invoices.create(key="first", note="") == (200, invoice)

    assert invoice["documentKey"].startswith(f"invoices/{invoices.name}/")
    assert invoice["documentKey"].endswith(".pdf")
    assert donor["imageKey"].startswith(f"ngo-donor-images/{invoices.name}/")
    sha256 = hashlib.sha256(invoices.document).hexdigest()
    assert invoices.record() == {
        "invoiceNumber": invoices.name,
        "supplier": "O'Łukasz & Söhne",
        "note": "",
        "documentKey": invoice["documentKey"],
        "documentHash": hashlib.md5(invoices.document).hexdigest(),
        "documentSha256": sha256,
        "docType": "Invoice",
    }
    assert donors.record()["imageKey"] == donor["imageKey"]

    status, read = invoices.read()
    assert (status, read["transactionId"]) == (200, invoice["transactionId"]), read
    assert (read["document"]["integrity"], read["document"]["verifiedBy"]) == ("VERIFIED", "SHA-256")
    assert (read["supplier"], read["documentSha256"]) == ("O'Łukasz & Söhne", sha256)
    assert "email" not in read
    assert fetch(read["document"]["url"]) == ("application/pdf", invoices.document)
    status, read = donors.read()
    assert (status, read["image"]["integrity"]) == (200, "VERIFIED"), read
    assert "supplier" not in read
    for created in (invoice, donor):
        status, transaction = donors.get(f"/transactions/{created['transactionId']}")
        assert (status, transaction["status"]) == (200, "VALID")


def test_each_list_has_the_records_of_its_type_only(donors: World, invoices: Invoices) -> None:
    assert invoices.create()[0] == donors.create()[0] == 200
    listed = {}
    for records, name in (("donors", "donorUserName"), ("invoices", "invoiceNumber")):
        status, answer = invoices.get(f"/{records}")
        assert (status, answer.keys() - {"nextToken"}) == (200, {records})
        listed[records] = {each[name] for each in answer[records]}
        assert len(answer[records]) == len(listed[records])
    assert donors.name in listed["donors"] - listed["invoices"]
    assert invoices.name in listed["invoices"] - listed["donors"]


@pytest.mark.parametrize(
    ("changes", "status", "error", "says"),
    [
        ({"document": base64.b64encode(png()).decode()}, 400, "InvalidDocument", "image/png"),
        ({"document": base64.b64encode(pdf()[:-200]).decode()}, 400, "InvalidDocument", "damaged or cut short"),
        ({"document": "%%%"}, 400, "InvalidDocument", "document"),
        ({"document": base64.b64encode(pdf() + bytes(200_000)).decode()}, 413, "DocumentTooLarge", "document"),
        ({"invoiceNumber": "INV-26-1"}, 400, "InvalidRequest", "does not match input string"),
        ({"supplier": ""}, 400, "InvalidRequest", "is too short"),
        ({"email": "ada@example.org"}, 400, "InvalidRequest", '["email"]'),
    ],
)
def test_what_is_no_invoice_is_refused_in_an_invoices_words(
    invoices: Invoices, changes: dict[str, str], status: int, error: str, says: str
) -> None:
    height = invoices.sandbox.ledger.height
    message = refused(invoices.create(**changes), status, error)
    assert says in message
    assert "donor" not in message.lower()
    assert "image:" not in message
    assert (invoices.versions(), invoices.sandbox.ledger.height) == ([], height)


def test_a_second_invoice_of_a_number_is_refused_and_its_document_taken_back(invoices: Invoices) -> None:
    status, created = invoices.create()
    assert status == 200, created
    invoices.document = pdf()
    refused(invoices.create(), 409, "InvoiceAlreadyExists")
    assert [key for key, _ in invoices.versions()] == [created["documentKey"]]
    refused(invoices.read("INV-2026-0"), 404, "InvoiceNotFound")


def test_a_type_has_its_own_chaincode_functions_only(donors: World, invoices: Invoices) -> None:
    for world, other in ((donors, "createInvoice"), (invoices, "createDonor")):
        body = {"chaincodeFunction": other, "chaincodeFunctionArgs": world.arguments()}
        assert refused(world.send(body), 400, "InvalidRequest").startswith("chaincodeFunction: this API allows create")
        assert (world.versions(), world.record()) == ([], None)


def test_a_document_that_was_tampered_with_or_is_gone_is_found(invoices: Invoices) -> None:
    status, created = invoices.create()
    assert status == 200, created
    ((key, good),) = invoices.versions()
    invoices.put_object(key, pdf())
    refused(invoices.read(), 409, "DocumentTampered", versionId=good)
    invoices.copy_object({"Key": key, "VersionId": good}, key)
    assert invoices.read()[0] == 200
    s3 = invoices.sandbox.client("s3")
    for _, version in invoices.versions():
        s3.delete_object(Bucket=invoices.sandbox.bucket, Key=key, VersionId=version)
    refused(invoices.read(), 410, "DocumentMissing", versions=0, deleteMarker=False)


def test_a_record_of_one_type_that_names_the_others_object_gets_nothing_of_it(
    donors: World, invoices: Invoices
) -> None:
    donors.name = invoices.name
    status, created = donors.create()
    assert status == 200, created
    stolen = {
        "functionType": "invoke",
        "chaincodeFunction": "createInvoice",
        "chaincodeFunctionArgs": {
            "invoiceNumber": invoices.name,
            "documentKey": created["imageKey"],
            "documentSha256": created["imageSha256"],
        },
    }
    called = invoices.sandbox.client("lambda").invoke(
        FunctionName=invoices.chaincode.removeprefix("lambda:"), Payload=json.dumps(stolen)
    )
    assert "FunctionError" not in called
    refused(invoices.read(), 410, "DocumentMissing", versions=0, deleteMarker=False)
    assert donors.read()[0] == 200


def test_verify_all_walks_each_type_and_says_which(
    both: Sandbox, donors: World, invoices: Invoices, tmp_path: Path
) -> None:
    ready = tmp_path / "ready.json"
    ready.write_text(json.dumps(ready_line(both)))
    assert invoices.create()[0] == donors.create()[0] == 200
    ((key, good),) = invoices.versions()
    invoices.put_object(key, pdf())

    ended = verify_all("--ready", str(ready))
    assert ended.code == 1, ended
    reports = {each["records"]: each for each in map(json.loads, ended.out.splitlines())}
    assert list(reports) == ["donors", "invoices"]
    assert reports["donors"]["findings"] == []
    (ours,) = [each for each in reports["invoices"]["findings"] if each["identifier"] == invoices.name]
    assert (ours["outcome"], ours["key"], ours["versionId"]) == ("tampered", key, good)
    for records, prefix in (("donors", "ngo-donor-images/"), ("invoices", "invoices/")):
        assert reports[records]["counts"]["verified"] >= 1
        assert all(
            each["key"].startswith(prefix) or each["outcome"] == "missing" for each in reports[records]["findings"]
        )
    assert "donors" in ended.errors
    assert "invoices" in ended.errors

    only = verify_all("--ready", str(ready), "--records", "donors")
    assert (only.code, [json.loads(line)["records"] for line in only.out.splitlines()]) == (0, ["donors"]), only
    unknown = verify_all("--ready", str(ready), "--records", "payments")
    assert (unknown.code, unknown.out) == (2, "")
    assert "--records payments: the sandbox has donors, invoices" in unknown.errors
    ready.write_text(json.dumps({name: part for name, part in ready_line(both).items() if name != "recordTypes"}))
    alone = verify_all("--ready", str(ready), "--records", "donors")
    assert (alone.code, alone.out) == (2, "")
    assert "has one record type only: leave --records out" in alone.errors


def test_each_sweep_settles_the_objects_of_its_type_only(donors: World, invoices: Invoices) -> None:
    for world in (donors, invoices):
        # The object is written, and the workflow ends before the chaincode is asked.
        world.sandbox.faults.place(world.upload, "kill", when="after")
        refused(world.create(), 500, "InternalError")
        assert len(world.versions()) == 1
    sweeps = {world: ready_line(world.sandbox)["recordTypes"][world.records]["sweep"] for world in (donors, invoices)}
    for world, other in ((donors, invoices), (invoices, None)):
        called = world.sandbox.client("lambda").invoke(FunctionName=sweeps[world], Payload=b"{}")
        report = json.loads(called["Payload"].read())
        assert "FunctionError" not in called, report
        assert [each["key"].startswith(world.key_prefix) for each in report["objects"]] == [True] * len(
            report["objects"]
        )
        assert (world.versions(), report["open"]) == ([], 0), report
        assert other is None or len(other.versions()) == 1


def test_what_the_workshops_chaincode_has_not_is_offered_in_its_manner(both: Sandbox, invoices: Invoices) -> None:
    assert both.added_chaincode_functions == ADDED
    network = raw_fabric.of(both.ledger)
    argument = json.dumps({"invoiceNumber": invoices.name, "supplier": "s", "anything": [1, None]})
    created = network.propose("createInvoice", argument)
    assert network.order(created, raw_fabric.envelope(created, [network.endorse(created)])) == "VALID"
    stored = {"invoiceNumber": invoices.name, "supplier": "s", "anything": [1, None], "docType": "Invoice"}
    assert json.loads(network.query("queryInvoice", argument).response.payload) == stored
    listed = json.loads(network.query("queryAllInvoices", "{}").response.payload)
    assert {"Key": f"Invoice:{invoices.name}", "Record": stored} in listed
    again = network.query("createInvoice", argument).response
    assert again.status == 500
    assert f"##### createInvoice - This invoice already exists: {invoices.name}" in again.message
    missing = network.query("queryInvoice", '{"invoiceNumber": "none"}').response
    assert "##### queryByKey key: Invoice:none does not exist" in missing.message
    network.close()


def kind(name: str, **changes: str) -> RecordType:
    names = {
        "path": f"{name.lower()}s",
        "identifying_field": "number",
        "create_function": f"create{name}",
        "read_function": f"read{name}",
        "list_function": f"list{name}s",
    }
    return RecordType(name=name, **names | changes)


def test_no_type_sees_the_records_of_one_whose_name_begins_alike() -> None:
    # DonorCard beside the workshop's donors, and InvoiceLine beside Invoice: by name alone, their keys would be mixed.
    kinds = [kind("DonorCard"), kind("Invoice"), kind("InvoiceLine")]
    chaincode = Ngo(kinds)
    with FabricEmulation(chaincodes={"ngo": chaincode}) as emulation:
        network = raw_fabric.of(emulation)
        for function in ("createInvoiceLine", "createInvoice", "createDonorCard"):
            for number in ("1", "Line1", "Card1"):
                created = network.propose(function, json.dumps({"number": number}))
                response = network.endorse(created)
                assert response.response.status == 200, response.response.message
                assert network.order(created, raw_fabric.envelope(created, [response])) == "VALID"
        for each in kinds:
            listed = json.loads(network.query(each.list_function, "{}").response.payload)
            assert [entry["Record"] for entry in listed] == [
                {"number": number, "docType": each.name} for number in ("1", "Card1", "Line1")
            ]
        assert json.loads(network.query("queryAllDonors", "{}").response.payload) == []
        network.close()
    assert {"readInvoice", "listInvoices"} <= chaincode.queries


def test_the_workshops_own_functions_stay_as_they_are_for_a_type_that_names_them() -> None:
    chaincode = Ngo(
        [
            kind(
                "Organisation",
                identifying_field="ngoRegistrationNumber",
                create_function="createNGO",
                read_function="queryNGO",
                list_function="queryAllNGOs",
            )
        ]
    )
    assert chaincode.added == ()
    with FabricEmulation(chaincodes={"ngo": chaincode}) as emulation:
        network = raw_fabric.of(emulation)
        created = network.propose("createNGO", '{"ngoRegistrationNumber": "1"}')
        assert network.order(created, raw_fabric.envelope(created, [network.endorse(created)])) == "VALID"
        network.close()
        assert json.loads(emulation.record("ngo", "ngo1") or b"") == {"ngoRegistrationNumber": "1", "docType": "ngo"}
