"""A third record type, beside donors and invoices, is configuration alone."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from test_record_types import SETTINGS, fetch, pdf
from world import World, refused

from sandbox.runtime import Sandbox

ORGANISATION = """
    name: Ngo
    identifyingField: ngoRegistrationNumber
    ledgerFields: [{name: ngoRegistrationNumber, maxLength: 40}, {name: ngoName, maxLength: 120}]
    dataField: statutes
    contentTypes: [application/pdf]
    createFunction: createNGO
    readFunction: queryNGO
    listFunction: queryAllNGOs
"""


@pytest.mark.long
def test_a_third_type_on_the_workshops_own_functions_is_created_and_read_back(
    tmp_path: Path, assembly_of: Callable[[Path], Path]
) -> None:
    settings = yaml.safe_load(SETTINGS.read_text("utf-8"))
    settings["recordTypes"].append(yaml.safe_load(ORGANISATION))
    (tmp_path / "three.yaml").write_text(yaml.safe_dump(settings))
    with Sandbox(assembly=assembly_of(tmp_path / "three.yaml")) as sandbox:
        ngos, statutes = World(sandbox), pdf()
        ngos.records, ngos.name = "ngos", "DE 4711"
        document = base64.b64encode(statutes).decode()
        body = {"ngoRegistrationNumber": ngos.name, "ngoName": "Söhne", "statutes": document}
        status, created = ngos.send({"chaincodeFunctionArgs": body})
        assert (status, created.get("statutesKey", "")[:13]) == (200, "ngos/DE 4711/"), created
        status, read = ngos.read()
        assert (status, read["ngoName"], read["statutes"]["integrity"]) == (200, "Söhne", "VERIFIED"), read
        assert fetch(read["statutes"]["url"]) == ("application/pdf", statutes)
        assert ngos.get("/ngos")[1]["ngos"][0]["statutesSha256"] == created["statutesSha256"]
        refused(ngos.send({"chaincodeFunctionArgs": body | {"ngoName": "Other"}}), 409, "NgoAlreadyExists")
