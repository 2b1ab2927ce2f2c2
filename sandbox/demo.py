"""`python -m sandbox demo`: the product's story on this machine, each step checked: donors are created, refused and
rolled back, and then read back, tampered with and verified."""

import base64
import hashlib
import http.client
import json
import logging
import sys
import time
import urllib.parse
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from . import verify_all
from .errors import SandboxError
from .runtime import Sandbox

if TYPE_CHECKING:
    from .fabric import FabricEmulation

PICTURE = Path(__file__).with_name("demo.png")
_RECORDS = "donors"
_SVG_WITH_SCRIPT = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


class NotHeld(Exception):
    """A step did not do what the product promises."""


def run(*, assembly: Path | None = None, settings: Path | None = None) -> int:
    """Tell the story on standard output. Returns 0 where every step held, else 1. Raises SandboxError where the stack
    has no donors."""
    console = Console(highlight=False)
    # The panel says it.
    logging.getLogger("sandbox.fabric").setLevel(logging.ERROR)
    console.print(
        Panel(
            "Pictures go to S3, their key and hash to Hyperledger Fabric: both or none.\n"
            "Whoever reads one gets it held against the ledger's hash.\n\n"
            "This serves the synthesized stack on 127.0.0.1, with its own API, workflow\n"
            "and Lambda code. S3 is moto's and the ledger is a Fabric emulation, both for\n"
            "development: no AWS, no Docker, nothing real.",
            title="offchain-stack",
            border_style="cyan",
        )
    )
    began = time.monotonic()
    with ExitStack() as stack:
        with console.status("Starting the API, the functions, S3 and the ledger ..."):
            sandbox = stack.enter_context(Sandbox(assembly=assembly, settings=settings))
        if _RECORDS not in sandbox.assembly.record_types:
            raise SandboxError(f"the demo tells of {_RECORDS}, and this stack has none: serve it with `up`")
        started = time.monotonic() - began
        console.print(f"Started in {started:.1f} s: API {sandbox.api_url}, S3 {sandbox.aws_endpoint}\n")
        story = _Story(console, sandbox)
        try:
            for number, (title, step) in enumerate(story.steps, 1):
                console.print(Rule(f"{number}. {title}", align="left", style="cyan"))
                step()
                console.print()
        except NotHeld as error:
            console.print(Text(f"NOT HELD: {error}", style="bold red"))
            return 1
    console.print(Text(f"All {len(story.steps)} steps held.", style="bold green"))
    return 0


class _Story:
    def __init__(self, console: Console, sandbox: Sandbox) -> None:
        self._console, self._sandbox = console, sandbox
        self._ledger = cast("FabricEmulation", sandbox.ledger)
        self._s3 = sandbox.client("s3")
        functions = sandbox.assembly.functions_of(_RECORDS)
        self._chaincode_function, self._verify_all_function = functions["invoke_chaincode"], functions["verify_all"]
        self._created: dict[str, str] = {}
        self.steps: list[tuple[str, Callable[[], None]]] = [
            ("Create a donor with a picture", self._create),
            ("The same request again, as after a lost answer", self._repeat),
            ("Another donor of that name is refused", self._duplicate),
            ("The chaincode refuses: the picture is taken back", self._refused),
            ("The function dies after the commit: the ledger decides", self._killed),
            ("Bad input never reaches bucket or ledger", self._bad_input),
            ("Read it back, verified", self._read),
            ("Overwrite the object behind the system's back: it is found", self._overwrite),
            ("Verify everything", self._verify_all),
        ]

    def _create(self) -> None:
        picture = PICTURE.read_bytes()
        self._say(f"POST /donors with {PICTURE.name}, a picture of {len(picture):,} bytes")
        began = time.monotonic()
        status, answer = self._post("ada", picture, key="first-donor")
        self._answered(status, answer, time.monotonic() - began)
        self._check(status == 200, f"creating a donor answered {status}: {answer}")
        self._created = answer

        stored = self._s3.get_object(Bucket=self._sandbox.bucket, Key=answer["imageKey"])
        data = stored["Body"].read()
        record = self._record("ada")
        self._check(record is not None, "the ledger has no record of the donor")
        on_ledger = json.loads(record or b"{}")
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        sha256 = hashlib.sha256(data).hexdigest()
        table = Table("", "in the bucket", "on the ledger", "agree", box=None, pad_edge=False)
        self._compare(table, "key", answer["imageKey"], on_ledger["imageKey"])
        self._compare(table, "MD5", md5, on_ledger["imageHash"])
        self._compare(table, "ETag", stored["ETag"].strip('"'), on_ledger["imageHash"])
        self._compare(table, "SHA-256", sha256, on_ledger["imageSha256"])
        self._console.print(Padding(table, (1, 2)))
        self._check(data == picture, "the object's bytes are not the picture's")
        self._check(stored["ContentType"] == "image/png", f"the content type is {stored['ContentType']}")
        self._check(on_ledger["email"] == "ada@example.org", "the ledger's mail address is another one")
        self._say("The object's bytes are the picture's. The ledger's transaction:")
        # A line of its own, for programs too.
        self._console.print(Text(f"transactionId: {answer['transactionId']}"), soft_wrap=True)
        committed = {each.tx_id: each.validation_code for each in self._ledger.transactions()}
        self._check(committed.get(answer["transactionId"]) == "VALID", "the transaction is not committed as VALID")

    def _repeat(self) -> None:
        before = len(self._ledger.transactions())
        status, answer = self._post("ada", PICTURE.read_bytes(), key="first-donor")
        self._answered(status, answer)
        self._check((status, answer) == (200, self._created), "the repeated request was not answered as the first")
        self._check(len(self._ledger.transactions()) == before, "the repeated request made a new transaction")
        self._say("Same Idempotency-Key, same answer, no new transaction.")

    def _duplicate(self) -> None:
        before = self._bucket()
        status, answer = self._post("ada", PICTURE.read_bytes(), email="other@example.org")
        self._answered(status, answer)
        self._check((status, answer.get("error")) == (409, "DonorAlreadyExists"), f"it was answered {status} {answer}")
        self._check(self._bucket() == before, "the bucket has changed")
        self._show_bucket("The refused picture is gone again, ada's own is untouched:")

    def _refused(self) -> None:
        before, seen = self._bucket(), []
        self._ledger.faults.place("chaincode", 500, function="createDonor")
        self._sandbox.faults.place("s3:DeleteObject", lambda: seen.extend(self._bucket()))
        status, answer = self._post("grace", PICTURE.read_bytes())
        self._answered(status, answer)
        self._check((status, answer.get("error")) == (422, "ChaincodeRejected"), f"it was answered {status} {answer}")
        self._check(len(seen) == len(before) + 1, "the picture was not in the bucket before the roll-back")
        self._check(self._bucket() == before, "the roll-back left something in the bucket")
        self._check(self._record("grace") is None, "the ledger has a record of the refused donor")
        self._say(
            f"Object versions before: {len(before)}, until the chaincode refused: {len(seen)}, "
            f"after the roll-back: {len(self._bucket())}."
        )

    def _killed(self) -> None:
        self._sandbox.faults.place(f"lambda:{self._chaincode_function.name}", "kill", when="after")
        status, answer = self._post("barbara", PICTURE.read_bytes())
        self._answered(status, answer)
        self._check(status == 200, f"it was answered {status} {answer}")
        record = json.loads(self._record("barbara") or b"{}")
        self._check(record.get("imageKey") == answer["imageKey"], "the ledger names another object")
        self._s3.head_object(Bucket=self._sandbox.bucket, Key=answer["imageKey"])
        self._say("Its answer was lost with the process; a second one asked the ledger, and nothing was deleted.")

    def _bad_input(self) -> None:
        picture = PICTURE.read_bytes()
        good = {"donorUserName": "mary", "email": "mary@example.org", "image": base64.b64encode(picture).decode()}
        script, zeros = base64.b64encode(_SVG_WITH_SCRIPT).decode(), base64.b64encode(bytes(300 * 1024)).decode()
        cases: list[tuple[str, Any, int, str]] = [
            ("not JSON", "{", 400, "InvalidRequest"),
            ("no email", {key: value for key, value in good.items() if key != "email"}, 400, "InvalidRequest"),
            ("an unknown field", good | {"admin": "yes"}, 400, "InvalidRequest"),
            ("a name with a slash", good | {"donorUserName": "../ada"}, 400, "InvalidRequest"),
            ("not base64", good | {"image": "%%%"}, 400, "InvalidImage"),
            ("a text as picture", good | {"image": base64.b64encode(b"hello").decode()}, 400, "InvalidImage"),
            ("a PNG called JPEG", good | {"image": f"data:image/jpeg;base64,{good['image']}"}, 400, "InvalidImage"),
            (
                "an SVG with a script",
                good | {"image": script},
                400,
                "InvalidImage",
            ),
            (
                "a picture of 300 KiB",
                good | {"image": zeros},
                413,
                "ImageTooLarge",
            ),
        ]
        before, height = self._bucket(), self._ledger.height
        table = Table("sent", "status", "error", "message", box=None, pad_edge=False)
        for name, arguments, status, error in cases:
            body = arguments if isinstance(arguments, str) else json.dumps({"chaincodeFunctionArgs": arguments})
            got, answer = self._send(body)
            table.add_row(name, str(got), answer.get("error"), answer.get("message"))
            self._check((got, answer.get("error")) == (status, error), f"{name}: answered {got} {answer}")
            self._check(set(answer) == {"error", "message", "requestId"}, f"{name}: answered {answer}")
        user = {"fabricUsername": "admin", "chaincodeFunctionArgs": good}
        got, answer = self._send(json.dumps(user))
        table.add_row("a Fabric user not allowed", str(got), answer.get("error"), answer.get("message"))
        self._check((got, answer.get("error")) == (403, "Forbidden"), f"a Fabric user not allowed: {got} {answer}")
        self._console.print(Padding(table, (0, 2)))
        self._check(self._bucket() == before, "bad input has left something in the bucket")
        self._check(self._ledger.height == height, "bad input has reached the ledger")

    def _read(self) -> None:
        self._say("GET /donors/ada")
        status, answer = self._get("ada")
        self._check(status == 200, f"reading a donor answered {status}: {answer}")
        image = answer["image"]
        shown = {name: image[name] for name in ("integrity", "verifiedBy", "contentType", "versionId")}
        self._answered(status, shown | {"url": image["url"].partition("?")[0] + "?..."})
        self._check((image["integrity"], image["verifiedBy"]) == ("VERIFIED", "SHA-256"), f"it was read as {image}")
        self._check(answer["transactionId"] == self._created["transactionId"], "another transaction is named")
        data = self._fetch(image["url"])
        self._check(data == PICTURE.read_bytes(), "the URL's bytes are not the picture's")
        self._say(f"It was hashed before the answer. The URL gives the picture, {len(data):,} bytes.")

    def _overwrite(self) -> None:
        bucket, key = self._sandbox.bucket, self._created["imageKey"]
        self._s3.put_object(Bucket=bucket, Key=key, Body=_SVG_WITH_SCRIPT, ContentType="image/svg+xml")
        self._say("GET /donors/ada, with other bytes under its key")
        status, answer = self._get("ada")
        self._answered(status, answer)
        self._check((status, answer.get("error")) == (409, "ImageTampered"), f"it was answered {status} {answer}")
        good = {"Bucket": bucket, "Key": key, "VersionId": answer["versionId"]}
        data = self._s3.get_object(**good)["Body"].read()
        self._check(data == PICTURE.read_bytes(), "the version named as good is not the picture")
        self._s3.copy_object(Bucket=bucket, Key=key, CopySource=good)
        self._say("GET /donors/ada, with that version copied on top")
        status, answer = self._get("ada")
        self._check(status == 200, f"it was answered {status} {answer}")
        self._answered(status, {"integrity": answer["image"]["integrity"]})

    def _verify_all(self) -> None:
        names = ["hedy", "mary", "zofia"]
        keys = {name: self._post(name, PICTURE.read_bytes())[1].get("imageKey", "") for name in names}
        self._check(all(keys.values()), f"not all of {names} were created")
        self._s3.put_object(Bucket=self._sandbox.bucket, Key=keys["mary"], Body=_SVG_WITH_SCRIPT)
        self._say(
            "Every donor's picture against the ledger, as `python -m sandbox verify-all` does; mary's is another:"
        )
        *_, report = verify_all.walk(self._sandbox.client("lambda"), self._verify_all_function.name)
        self._console.print(Padding(verify_all.tables(report), (1, 2)))
        found = [(each["identifier"], each["outcome"]) for each in report.findings]
        self._check(found == [("mary", "tampered")], f"it found {found}")
        self._check(report.counts["verified"] == report.total - 1, f"it counted {report.counts}")

    def _post(
        self, name: str, picture: bytes, *, email: str | None = None, key: str | None = None
    ) -> tuple[int, dict[str, str]]:
        arguments = {
            "donorUserName": name,
            "email": email or f"{name}@example.org",
            "image": f"data:image/png;base64,{base64.b64encode(picture).decode()}",
        }
        return self._send(json.dumps({"chaincodeFunctionArgs": arguments}), {"Idempotency-Key": key} if key else {})

    def _send(self, body: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str]]:
        headers = {"Content-Type": "application/json", **(headers or {})}
        status, answer = self._request("POST", f"{self._sandbox.api_url}/donors", body.encode(), headers)
        return status, json.loads(answer)

    def _get(self, name: str) -> tuple[int, dict[str, Any]]:
        status, answer = self._request("GET", f"{self._sandbox.api_url}/donors/{name}")
        return status, json.loads(answer)

    def _fetch(self, url: str) -> bytes:
        status, data = self._request("GET", url)
        self._check(status == 200, f"the URL answered {status}")
        return data

    def _request(
        self, method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        try:
            connection.request(method, urllib.parse.urlunsplit(("", "", *parts[2:])), body, headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _bucket(self) -> list[tuple[str, str]]:
        versions = self._s3.list_object_versions(Bucket=self._sandbox.bucket)
        found = versions.get("Versions", []) + versions.get("DeleteMarkers", [])
        return sorted((each["Key"], each["VersionId"]) for each in found)

    def _record(self, name: str) -> bytes | None:
        settings = json.loads(self._chaincode_function.environment["FABRIC_NETWORK"])
        return self._ledger.record(settings["chaincode"], f"donor{name}")

    def _show_bucket(self, text: str) -> None:
        self._say(text)
        current = self._s3.list_objects_v2(Bucket=self._sandbox.bucket).get("Contents", [])
        for each in current:
            self._console.print(Text(f"    {each['Key']}  {each['Size']:,} bytes"), soft_wrap=True)

    def _answered(self, status: int, answer: dict[str, str], seconds: float | None = None) -> None:
        took = f" after {seconds * 1000:.0f} ms" if seconds is not None else ""
        self._console.print(Text(f"  {status}{took}", style="green" if status == 200 else "yellow"))
        for name, value in answer.items():
            self._console.print(Text.assemble(("    " + name.ljust(14), "dim"), value), soft_wrap=True)

    def _compare(self, table: Table, name: str, ours: str, theirs: str) -> None:
        table.add_row(name, _short(ours), _short(theirs), "yes" if ours == theirs else "NO")
        self._check(ours == theirs, f"{name} in the bucket is {ours}, on the ledger {theirs}")

    def _say(self, text: str) -> None:
        self._console.print(Padding(Text(text), (0, 2)))

    def _check(self, held: bool, otherwise: str) -> None:
        if not held:
            raise NotHeld(otherwise)


def _short(text: str) -> str:
    return text if len(text) <= 26 else f"{text[:14]}...{text[-8:]}"


if __name__ == "__main__":
    sys.exit(run())
