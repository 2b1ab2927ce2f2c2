"""The sweep, through its Lambda handler: what the upload and chaincode functions left, on moto and the emulation."""

import datetime
import itertools
import json
import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import EndpointConnectionError
from cryptography.x509 import load_pem_x509_certificate
from invoke_chaincode import handler as invoke_chaincode
from shared import aws, errors, identities, record_type, submission
from shared.identities import Identity
from shared.ledger import environment, messages
from shared.ledger.interface import Call, FoundTransaction
from shared.ledger.transport import Connection
from sweep import handler as sweep
from sweep.sweep import VERDICT_TAG, Sweep, read_submission
from sweep.verdict import Judge, Verdict
from upload_object import handler as upload_object

from tests.unit import upload_samples
from tests.unit.deployment import CACHES, Context, ledger_environment, store_identity
from tests.unit.fabric_fixtures import TIMING, Fabric, client_identity, fabric, fabric_of_module, network_of
from tests.unit.signals import CORRELATION_ID, Signals

__all__ = ["fabric", "fabric_of_module"]

DAY = datetime.timedelta(days=1)


class Deployment:
    """The three functions as deployed: their environment, secrets and bucket. `age` shifts the sweep's clock."""

    def __init__(self, fabric: Fabric, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fabric, self.bucket, self._monkeypatch = fabric, bucket, monkeypatch
        monkeypatch.setenv("S3_BUCKET", bucket.name)
        monkeypatch.setenv("CHAINCODE_FUNCTIONS", upload_samples.ENVIRONMENT["CHAINCODE_FUNCTIONS"])
        for name, text in ledger_environment(fabric).items():
            monkeypatch.setenv(name, text)
        for name, seconds in (("MINIMUM_AGE_SECONDS", 900), ("UNRETIRABLE_AGE_SECONDS", 86_400)):
            monkeypatch.setenv(name, str(seconds))
        monkeypatch.setenv("LOOK_BACK_DAYS", "14")
        self.use(fabric.identity)

    def use(self, identity: Identity) -> None:
        """Put an identity into the user's secrets, as a rotation does."""
        store_identity(identity)
        identities.from_environment.cache_clear()
        upload_object.uploader.cache_clear()

    def rename_user(self, name: str) -> None:
        """Have the deployment list its Fabric user under another name only."""
        listed = json.loads(os.environ["FABRIC_IDENTITIES"])
        listed["users"] = {name: listed["users"].popitem()[1]}
        self._monkeypatch.setenv("FABRIC_IDENTITIES", json.dumps(listed))
        identities.from_environment.cache_clear()

    def upload(self, name: str, *, key: str = "", request: str = "one") -> dict[str, Any]:
        execution = f"{quote(name)}-{request}"
        changes = {"donorUserName": name, "idempotencyKey": key, "executionId": execution}
        context = Context(aws_request_id=execution)
        return upload_object.handler(upload_samples.event(**changes), context)  # type: ignore[return-value]

    def invoke(self, uploaded: dict[str, Any], *, remaining: float = 3.0, attempt: str = "first") -> dict[str, Any]:
        about_object = {name: uploaded[name] for name in ("imageKey", "imageHash", "imageSha256")}
        event = {
            "functionType": "invoke",
            "chaincodeFunctionArgs": uploaded["record"] | about_object,
            "submission": uploaded,
            "attempt": attempt,
        }
        return invoke_chaincode.handler(event, Context(remaining))  # type: ignore[no-any-return]

    def sweep(self, *, age: datetime.timedelta = datetime.timedelta(hours=1), **event: Any) -> dict[str, Any]:
        now = datetime.datetime.now(datetime.UTC) + age

        class Clock(datetime.datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime.datetime:  # type: ignore[override]
                return now

        self._monkeypatch.setattr("sweep.sweep.datetime.datetime", Clock)
        try:
            return sweep.handler(event, Context())  # type: ignore[no-any-return]
        finally:
            self._monkeypatch.setattr("sweep.sweep.datetime.datetime", datetime.datetime)

    def versions(self) -> set[tuple[str, str]]:
        return {(version.object_key, version.id) for version in self.bucket.object_versions.all()}

    def tags(self, uploaded: dict[str, Any]) -> list[dict[str, str]]:
        place = {"Bucket": self.bucket.name, "Key": uploaded["imageKey"], "VersionId": uploaded["versionId"]}
        return aws.client("s3").get_object_tagging(**place)["TagSet"]  # type: ignore[no-any-return]


@pytest.fixture
def deployment(fabric: Fabric, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    caches = (*CACHES, upload_object.uploader)
    for cache in caches:
        cache.cache_clear()
    yield Deployment(fabric, bucket, monkeypatch)
    environment.ledger().close()
    for cache in caches:
        cache.cache_clear()


def counts(report: dict[str, Any]) -> dict[str, int]:
    return {name: report[name] for name in ("committed", "dead", "open", "foreign") if report[name]}


def call_of(uploaded: dict[str, Any]) -> Call:
    about_object = {name: uploaded[name] for name in ("imageKey", "imageHash", "imageSha256")}
    return Call(function="createDonor", arguments=(json.dumps(uploaded["record"] | about_object),))


def place(uploaded: dict[str, Any]) -> tuple[str, str]:
    return uploaded["imageKey"], uploaded["versionId"]


def test_marks_what_the_ledger_refers_to_and_passes_over_it_then(deployment: Deployment) -> None:
    uploaded = deployment.upload("ada")
    deployment.invoke(uploaded)
    report = deployment.sweep()
    assert (report["examined"], counts(report), report["resumeAfter"]) == (1, {"committed": 1}, None)
    assert deployment.tags(uploaded) == [{"Key": VERDICT_TAG, "Value": "committed"}]
    assert counts(deployment.sweep()) == {}
    assert deployment.versions() == {place(uploaded)}


def test_deletes_what_never_reached_the_ledger(deployment: Deployment) -> None:
    uploaded = deployment.upload("bob")
    report = deployment.sweep()
    assert counts(report) == {"dead": 1}
    assert report["objects"] == [{"key": uploaded["imageKey"], "versionId": uploaded["versionId"], "verdict": "dead"}]
    assert deployment.versions() == set()


class Underway:
    """The envelope of a submission that is endorsed and on its way to an orderer, which it reaches with `arrive`."""

    def __init__(self, deployment: Deployment, uploaded: dict[str, Any]) -> None:
        network = network_of(deployment.fabric.emulation)
        self._fabric, self._id = deployment.fabric, uploaded["transactionIds"][0]
        self._orderer = Connection(network.orderers[0], network.tls_roots, TIMING)
        call = call_of(uploaded)
        nonce = bytes.fromhex(uploaded["nonces"][0])
        proposal = messages.propose(self._fabric.identity, network.channel, network.chaincode, call, nonce)
        assert proposal.transaction_id == self._id
        peer = Connection(network.peers[0], network.tls_roots, TIMING)
        answer = messages.read_answer(peer.call(messages.PROCESS_PROPOSAL, proposal.signed, 1.0))
        self._envelope = messages.assemble(proposal, [answer])

    def arrive(self) -> list[str]:
        """Returns the codes under which the ledger then has the transaction."""
        before = len(self._fabric.codes(self._id))
        answer = self._orderer.call(messages.BROADCAST, self._envelope, 1.0)
        assert messages.read_broadcast_answer(answer)[0] == "SUCCESS"
        while len(self._fabric.codes(self._id)) == before:
            time.sleep(0.01)
        return self._fabric.codes(self._id)


def test_what_it_deletes_can_never_commit(deployment: Deployment) -> None:
    uploaded = deployment.upload("cleo")
    underway = Underway(deployment, uploaded)
    assert counts(deployment.sweep()) == {"dead": 1}
    assert underway.arrive() == ["INVALID_CHAINCODE", "DUPLICATE_TXID"]
    assert deployment.fabric.emulation.record("ngo", "donorcleo") is None
    assert deployment.versions() == set()


def test_what_commits_while_it_decides_is_kept(deployment: Deployment) -> None:
    uploaded = deployment.upload("carl")
    underway = Underway(deployment, uploaded)

    def overtake() -> None:
        underway.arrive()

    overtaken = deployment.fabric.emulation.faults.place(
        "before-broadcast", overtake, times=1, function="offchain-stack:retired"
    )
    assert counts(deployment.sweep()) == {"committed": 1}
    assert overtaken.met == 1
    assert deployment.versions() == {place(uploaded)}


def test_keeps_what_a_record_names_whoever_wrote_it(deployment: Deployment) -> None:
    uploaded = deployment.upload("cora")
    about_object = {name: uploaded[name] for name in ("imageKey", "imageHash", "imageSha256")}
    event = {"functionType": "invoke", "chaincodeFunctionArgs": uploaded["record"] | about_object}
    other = invoke_chaincode.handler(event, Context(3.0))
    assert other["transactionId"] not in uploaded["transactionIds"]
    assert counts(deployment.sweep()) == {"committed": 1}
    assert deployment.versions() == {place(uploaded)}


def test_a_caller_may_come_again_after_the_sweep(deployment: Deployment) -> None:
    deployment.upload("dora", key="dora")
    assert counts(deployment.sweep()) == {"dead": 1}
    again = deployment.upload("dora", key="dora", request="two")
    assert deployment.invoke(again)["transactionId"] == again["transactionIds"][1]
    assert counts(deployment.sweep()) == {"committed": 1}
    assert deployment.versions() == {place(again)}


def test_deletes_after_an_invalid_transaction(deployment: Deployment) -> None:
    first, second = deployment.upload("eve"), deployment.upload("eve", request="two")
    deployment.invoke(first)
    with pytest.raises(errors.RecordAlreadyExists):
        deployment.invoke(second)
    assert counts(deployment.sweep()) == {"committed": 1, "dead": 1}
    assert deployment.versions() == {place(first)}


def test_a_version_beside_the_committed_one_is_no_orphan(deployment: Deployment) -> None:
    """Two executions of one submission share the key that the ledger names."""
    first, second = deployment.upload("fay", key="fay"), deployment.upload("fay", key="fay", request="two")
    deployment.invoke(second)
    assert counts(deployment.sweep()) == {"committed": 2}
    assert deployment.versions() == {place(first), place(second)}


@pytest.mark.parametrize("age", [datetime.timedelta(minutes=14), datetime.timedelta(days=15)])
def test_looks_only_at_versions_of_the_right_age(age: datetime.timedelta, deployment: Deployment) -> None:
    uploaded = deployment.upload("gil")
    assert deployment.sweep(age=age)["examined"] == 0
    assert deployment.versions() == {place(uploaded)}


def test_looks_back_without_limit_where_asked(deployment: Deployment) -> None:
    deployment.upload("hal")
    assert counts(deployment.sweep(age=100 * DAY, lookBackDays=None)) == {"dead": 1}


def test_keeps_what_cannot_be_decided_now(deployment: Deployment) -> None:
    uploaded = deployment.upload("ivy")
    for peer in deployment.fabric.emulation.peers:
        peer.kill()
    assert counts(deployment.sweep()) == {"open": 1}
    assert deployment.versions() == {place(uploaded)}


def test_keeps_what_no_orderer_lets_it_decide(deployment: Deployment) -> None:
    uploaded = deployment.upload("jon")
    for orderer in deployment.fabric.emulation.orderers:
        orderer.kill()
    assert counts(deployment.sweep()) == {"open": 1}
    assert deployment.versions() == {place(uploaded)}


def test_with_another_certificate_only_age_decides(deployment: Deployment) -> None:
    uploaded = deployment.upload("kim")
    deployment.use(client_identity(deployment.fabric.emulation, "successor"))
    assert counts(deployment.sweep(age=DAY / 2)) == {"open": 1}
    assert deployment.versions() == {place(uploaded)}
    assert counts(deployment.sweep(age=2 * DAY)) == {"dead": 1}
    assert deployment.versions() == set()


def test_finds_what_another_certificate_committed(deployment: Deployment) -> None:
    uploaded = deployment.upload("lea")
    deployment.invoke(uploaded)
    deployment.use(client_identity(deployment.fabric.emulation, "successor"))
    assert counts(deployment.sweep(age=2 * DAY)) == {"committed": 1}


def test_an_identity_that_the_ledger_denies_is_read_again(deployment: Deployment) -> None:
    uploaded = deployment.upload("hugo")
    deployment.use(client_identity(deployment.fabric.emulation, "lambdaUser", msp_id="OrdererMSP"))
    identities.from_environment().identity("lambdaUser")
    store_identity(deployment.fabric.identity)
    assert counts(deployment.sweep()) == {"open": 1}
    assert deployment.versions() == {place(uploaded)}
    assert counts(deployment.sweep()) == {"dead": 1}


def test_a_dry_run_changes_nothing(deployment: Deployment) -> None:
    orphan, kept = deployment.upload("mia"), deployment.upload("noa")
    deployment.invoke(kept)
    height = deployment.fabric.emulation.height
    report = deployment.sweep(dryRun=True)
    assert counts(report) == {"committed": 1, "dead": 1}
    assert [each["key"] for each in report["objects"]] == [orphan["imageKey"]]
    assert deployment.versions() == {place(orphan), place(kept)}
    assert deployment.tags(kept) == []
    assert deployment.fabric.emulation.height == height


def test_never_touches_an_object_it_did_not_write(deployment: Deployment) -> None:
    put = deployment.bucket.put_object
    put(Key="ngo-donor-images/ola.png", Body=b"by the blog's flow")
    put(Key=f"ngo-donor-images/ola/{'0' * 32}.png", Body=b"by hand")
    copied = {"submission-id": "1" * 32, "nonces": "01" * 24, "transaction-ids": "ab" * 32, "fabric-username": "x"}
    put(Key=f"ngo-donor-images/ola/{'2' * 32}.png", Body=b"a copy", Metadata=copied)
    put(Key="elsewhere/ola.png", Body=b"another prefix")
    before = deployment.versions()
    assert counts(deployment.sweep()) == {"foreign": 3}
    assert deployment.versions() == before


@pytest.mark.parametrize("other", ["Org1MSP/mychannel/ngo2", "m-ABC/mychannel/ngo"])
def test_never_touches_an_object_of_another_ledger(
    other: str, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a move to another network, which knows nothing of the records that the first one has."""
    deployment.upload("olga")
    monkeypatch.setenv("LEDGER", other)
    before, height = deployment.versions(), deployment.fabric.emulation.height
    for age in (1, 24 * 400):
        report = deployment.sweep(age=datetime.timedelta(hours=age), lookBackDays=None)
        assert counts(report) == {"foreign": 1}
    assert (deployment.versions(), deployment.fabric.emulation.height) == (before, height)


def test_goes_on_where_the_last_batch_ended(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a dry run: after a key that is gone, moto skips one where S3 does not."""
    monkeypatch.setattr(sweep, "_BATCH", 2)
    orphans = [deployment.upload(f"pat{number}")["imageKey"] for number in range(5)]
    reports = [deployment.sweep(dryRun=True)]
    while reports[-1]["resumeAfter"]:
        reports.append(deployment.sweep(dryRun=True, resumeAfter=reports[-1]["resumeAfter"]))
    assert [report["dead"] for report in reports] == [2, 2, 1]
    assert [each["key"] for report in reports for each in report["objects"]] == orphans


def test_ends_a_batch_in_time(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2):
        deployment.upload(f"quin{number}")
    report = run_with_time_left(deployment, monkeypatch, iter([60.0, 60.0, 16.0]))
    assert (report["dead"], report["resumeAfter"][:23]) == (1, "ngo-donor-images/quin0/")


def test_a_version_that_s3_does_not_let_go_is_open(deployment: Deployment) -> None:
    uploaded = deployment.upload("rae")
    client = aws.client("s3")

    def refuse(params: dict[str, Any], **_: Any) -> None:
        raise client.exceptions.ClientError({"Error": {"Code": "SlowDown"}}, "DeleteObject")

    client.meta.events.register_first("before-call.s3.DeleteObject", refuse)
    try:
        assert counts(deployment.sweep()) == {"open": 1}
    finally:
        client.meta.events.unregister("before-call.s3.DeleteObject", refuse)
    assert deployment.versions() == {place(uploaded)}
    assert counts(deployment.sweep()) == {"dead": 1}


def test_reports_counts_as_metrics(deployment: Deployment, signals: Signals) -> None:
    deployment.upload("sam")
    deployment.sweep(dryRun=True)
    deployment.sweep(correlationId=CORRELATION_ID)
    measured = signals.metrics()
    found = {name: measured[name] for name in measured if name.startswith("Sweep")}
    assert found == {
        "SweepExamined": [1.0],
        "SweepCommitted": [0.0],
        "SweepDead": [1.0],
        "SweepOpen": [0.0],
        "SweepForeign": [0.0],
    }


def test_each_users_certificate_is_counted_with_the_days_it_has_left(deployment: Deployment, signals: Signals) -> None:
    expires = load_pem_x509_certificate(deployment.fabric.identity.certificate.encode()).not_valid_after_utc
    left = (expires - datetime.datetime.now(datetime.UTC)) / datetime.timedelta(days=1)
    deployment.sweep(correlationId=CORRELATION_ID)
    for dimensions in ({}, {"FabricUser": "lambdaUser"}):
        measured = signals.metrics(**dimensions)
        assert measured["CertificateDaysLeft"] == [pytest.approx(left, abs=0.1)]
        assert measured["CertificateUnreadable"] == [0.0]
    signals.require_correlated("invocation")


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"])
def test_a_certificate_that_cannot_be_read_is_counted_and_named(
    text: str, deployment: Deployment, signals: Signals
) -> None:
    aws.client("secretsmanager").put_secret_value(SecretId="user/signcert", SecretString=text or "not PEM")
    deployment.sweep(correlationId=CORRELATION_ID)
    measured = signals.metrics(FabricUser="lambdaUser")
    assert measured["CertificateUnreadable"] == [1.0]
    assert "CertificateDaysLeft" not in measured
    assert signals.message("A certificate cannot be read")["user"] == "lambdaUser"
    signals.require_correlated("invocation")


def test_certificates_are_looked_at_once_a_run(deployment: Deployment, signals: Signals) -> None:
    deployment.sweep(resumeAfter="ngo-donor-images/a")
    assert "CertificateUnreadable" not in signals.metrics()


# What decides


class Unreachable:
    """Peer 0 is behind, and peer 1 answers only while an envelope that uses up an id is under way, until it has said
    what became of that one: `last` is the question with which it does."""

    def __init__(self, deployment: Deployment, *, last: str) -> None:
        deployment.fabric.emulation.peers[0].pause_commits()
        self._reached = False
        faults = deployment.fabric.emulation.faults
        faults.place("before-broadcast", self._come_back, times=1, function="offchain-stack:retired")
        faults.place("query", self._leave, node=1, times=None, function=last)
        faults.place("query", self._refuse, node=1, times=None)

    def _come_back(self) -> None:
        self._reached = True

    def _leave(self) -> str | None:
        reached, self._reached = self._reached, False
        return None if reached else "refuse"

    def _refuse(self) -> str | None:
        return None if self._reached else "refuse"


def test_the_verdict_under_the_used_up_id_decides_whatever_a_lagging_peer_says(deployment: Deployment) -> None:
    """The other peer cannot be reached before the retirement nor after it."""
    uploaded = deployment.upload("lara")
    deployment.fabric.emulation.peers[0].pause_commits()
    deployment.invoke(uploaded)
    Unreachable(deployment, last="GetTransactionByID")
    assert counts(deployment.sweep()) == {"committed": 1}
    assert deployment.versions() == {place(uploaded)}


def test_a_lagging_peer_alone_decides_nothing(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.sweep._PER_VERSION", 1.5)
    deployment.fabric.emulation.peers[0].pause_commits()
    uploaded = deployment.upload("lars")
    deployment.invoke(uploaded)
    deployment.fabric.emulation.peers[1].kill()
    assert counts(deployment.sweep()) == {"open": 1}
    assert deployment.versions() == {place(uploaded)}


def test_a_peer_without_the_channel_decides_nothing(deployment: Deployment) -> None:
    uploaded = deployment.upload("lena")
    deployment.invoke(uploaded)
    deployment.fabric.emulation.peers[0].joined = False
    deployment.fabric.emulation.peers[1].kill()
    assert counts(deployment.sweep()) == {"open": 1}
    assert deployment.versions() == {place(uploaded)}


def test_what_a_lagging_peer_does_not_have_yet_is_found_under_another_certificate(deployment: Deployment) -> None:
    """The lagging peer has neither the transaction nor the id that the sweep has used up."""
    uploaded = deployment.upload("lisa")
    deployment.fabric.emulation.peers[0].pause_commits()
    deployment.invoke(uploaded)
    deployment.use(client_identity(deployment.fabric.emulation, "successor"))
    height = deployment.fabric.emulation.height
    Unreachable(deployment, last="GetBlockByTxID")
    assert counts(deployment.sweep(age=2 * DAY)) == {"open": 1}
    assert deployment.fabric.emulation.height == height + 1
    assert deployment.versions() == {place(uploaded)}


def test_a_key_outlives_any_number_of_sweeps(deployment: Deployment) -> None:
    for number in range(5):
        deployment.upload("mona", key="mona", request=str(number))
        assert counts(deployment.sweep()) == {"dead": 1}
    last = deployment.upload("mona", key="mona", request="last")
    answer = deployment.invoke(last)
    assert answer["transactionId"] not in last["transactionIds"]
    assert counts(deployment.sweep()) == {"committed": 1}
    assert deployment.versions() == {place(last)}


@pytest.mark.parametrize("spent", [1, 4])
def test_finds_the_transaction_that_follows_invalid_ones(spent: int, deployment: Deployment) -> None:
    """By the transaction alone: the record has been changed since."""
    uploaded = deployment.upload(f"mara{spent}", key=f"mara{spent}")
    for nonce in itertools.islice(submission.series([bytes.fromhex(n) for n in uploaded["nonces"]]), spent):
        deployment.fabric.order_unendorsed(call_of(uploaded), nonce)
    deployment.invoke(uploaded)
    deployment.fabric.emulation.faults.place("query", 400, function="queryDonor", times=None)
    assert counts(deployment.sweep()) == {"committed": 1}
    assert deployment.versions() == {place(uploaded)}


def test_objects_of_a_user_that_was_removed_are_settled(deployment: Deployment, signals: Signals) -> None:
    kept, orphan = deployment.upload("nele"), deployment.upload("nina")
    deployment.invoke(kept)
    deployment.use(client_identity(deployment.fabric.emulation, "successor"))
    deployment.rename_user("someoneElse")
    assert counts(deployment.sweep()) == {"committed": 1, "open": 1}
    named = {line.get("key") for line in signals.log if line["message"].endswith("is not configured")}
    assert named == {kept["imageKey"], orphan["imageKey"]}
    assert counts(deployment.sweep(age=2 * DAY)) == {"dead": 1}
    assert deployment.versions() == {place(kept)}


# One batch


DAMAGED: list[dict[str, str | None]] = [
    {"nonces": None},
    {"nonces": ""},
    {"nonces": "zz" * 24},
    {"nonces": "01" * 23},
    {"nonces": f"{'01' * 24},"},
    {"transaction-ids": None},
    {"transaction-ids": "no ids"},
    {"transaction-ids": "ab" * 31},
    {"fabric-username": None},
    {"fabric-username": ""},
]


@pytest.mark.parametrize("damage", DAMAGED, ids=str)
def test_damaged_metadata_stops_nothing(
    damage: dict[str, str | None], deployment: Deployment, signals: Signals
) -> None:
    first, last = deployment.upload("olaf"), deployment.upload("otto")
    damaged = deployment.upload("oskar")
    current = aws.client("s3").head_object(Bucket=deployment.bucket.name, Key=damaged["imageKey"])["Metadata"]
    metadata = {name: value for name, value in (current | damage).items() if value is not None}
    deployment.bucket.Object(damaged["imageKey"]).delete(VersionId=damaged["versionId"])
    put = deployment.bucket.put_object(Key=damaged["imageKey"], Body=b"x", Metadata=metadata)
    assert counts(deployment.sweep()) == {"dead": 2, "foreign": 1}
    assert deployment.versions() == {(damaged["imageKey"], put.version_id)}
    assert {first["imageKey"], last["imageKey"]}.isdisjoint(key for key, _ in deployment.versions())
    assert signals.message("The metadata of an object is damaged; it is left alone")["key"] == damaged["imageKey"]


@pytest.mark.parametrize("operation", ["GetObjectTagging", "HeadObject", "DeleteObject"])
def test_a_version_that_s3_does_not_answer_for_is_open(operation: str, deployment: Deployment) -> None:
    first, last = deployment.upload("pia"), deployment.upload("pit")
    client = aws.client("s3")

    def fail(params: dict[str, Any], **_: Any) -> None:
        if first["imageKey"] in params["url_path"] or "pia" in params["url"]:
            raise EndpointConnectionError(endpoint_url="https://s3")

    client.meta.events.register_first(f"before-call.s3.{operation}", fail)
    try:
        assert counts(deployment.sweep()) == {"open": 1, "dead": 1}
    finally:
        client.meta.events.unregister(f"before-call.s3.{operation}", fail)
    assert deployment.versions() == {place(first)}
    assert last["imageKey"] != first["imageKey"]


def batches(deployment: Deployment, **event: Any) -> list[dict[str, Any]]:
    reports = [deployment.sweep(**event)]
    while reports[-1]["resumeAfter"] is not None:
        assert len(reports) < 20
        reports.append(deployment.sweep(**event | {"resumeAfter": reports[-1]["resumeAfter"]}))
    return reports


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_batch_ends_within_a_key_that_has_many_versions(
    dry_run: bool, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_BATCH", 2)
    for number in range(5):
        deployment.upload("quentin", key="quentin", request=str(number))
    reports = batches(deployment, dryRun=dry_run)
    assert [report["examined"] for report in reports] == [2, 2, 1]
    assert sum(report["dead"] for report in reports) == 5
    assert len({each["versionId"] for report in reports for each in report["objects"]}) == 5


def test_a_batch_goes_on_behind_versions_of_a_key_that_stay_open(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_BATCH", 2)
    for number in range(5):
        deployment.upload("quirin", key="quirin", request=str(number))
    for peer in deployment.fabric.emulation.peers:
        peer.kill()
    assert [report["open"] for report in batches(deployment)] == [2, 2, 1]


def test_a_batch_ends_in_time_within_a_key(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        deployment.upload("quinn", key="quinn", request=str(number))
    reports = run_with_time_left(deployment, monkeypatch, iter([60.0, 60.0, 16.9]))
    assert (reports["dead"], reports["resumeAfter"]) == (1, "")
    assert len(deployment.versions()) == 2


@pytest.mark.parametrize("from_start", [True, False])
def test_a_batch_without_time_does_not_claim_the_end(
    from_start: bool, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = "" if from_start else deployment.upload("ralf")["imageKey"]
    deployment.upload("rolf")
    report = run_with_time_left(deployment, monkeypatch, iter([16.9]), resumeAfter=start)
    assert (report["examined"], report["resumeAfter"]) == (0, start)
    assert counts(deployment.sweep(resumeAfter=report["resumeAfter"])) == {"dead": 1}


def run_with_time_left(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, left: Iterator[float], **event: Any
) -> dict[str, Any]:
    """A batch that has so many seconds left, each time that it looks."""
    with monkeypatch.context() as patched:
        run = Sweep.run
        patched.setattr(Sweep, "run", lambda self, **given: run(self, **given | {"time_left": lambda: next(left)}))
        return deployment.sweep(**event)


def test_a_batchs_answer_fits_into_a_state(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of keys as long as they may be, a batch of a thousand would not."""
    monkeypatch.setattr("sweep.sweep._MOST_BYTES", 1_000)
    for number in range(7):
        deployment.upload(f"{number}" + "\u4e2d" * 20)
    reports = batches(deployment, dryRun=True)
    assert len(reports) > 1
    assert sum(report["dead"] for report in reports) == 7
    longest = max(len(json.dumps(each)) for report in reports for each in report["objects"])
    assert all(len(json.dumps(report["objects"])) <= 1_000 + 2 * longest for report in reports)


def test_the_largest_answer_is_below_what_step_functions_takes() -> None:
    from sweep.sweep import _MOST_BYTES

    a_key_and_its_version = 6 * 1024 + 1024 + 200
    assert _MOST_BYTES + a_key_and_its_version + 10_000 < 262_144


class Obliging:
    """A ledger that answers whatever the deadline: it has `transactions`, no record, and uses up every other id."""

    def __init__(self, transactions: dict[str, FoundTransaction]) -> None:
        self.transactions, self.retired = transactions, 0

    def find(self, _: Identity, transaction_id: str, **__: Any) -> FoundTransaction | None:
        return self.transactions.get(transaction_id)

    def has_record(self, *_: Any, **__: Any) -> bool:
        return False

    def retire(self, *_: Any, **__: Any) -> None:
        self.retired += 1


def judged(deployment: Deployment, *, code: str = "", key: str = "", left: float = 60.0) -> tuple[Verdict, int]:
    """The verdict on a new object, and how many ids were used up for it; `code` and `key` are those of a transaction
    that the ledger has under its first id ("" for the object's own key)."""
    uploaded = deployment.upload(f"tess-{time.time_ns()}")
    metadata = aws.client("s3").head_object(Bucket=deployment.bucket.name, Key=uploaded["imageKey"])["Metadata"]
    kind = record_type.from_environment()
    stored = read_submission(uploaded["imageKey"], metadata, kind)
    assert stored is not None
    first = uploaded["transactionIds"][0]
    argument = json.dumps({"imageKey": key or uploaded["imageKey"]}).encode()
    found = FoundTransaction(
        transaction_id=first, code=code, chaincode="ngo", function="createDonor", arguments=(argument,)
    )
    ledger = Obliging({first: found} if code else {})
    judge = Judge(
        ledger=ledger,  # type: ignore[arg-type]
        identities=identities.from_environment(),
        record_type=kind,
        retire=True,
    )
    return judge.judge(stored, old=True, deadline=time.monotonic() + left), ledger.retired


def test_nothing_is_dead_once_the_time_is_over(deployment: Deployment) -> None:
    assert judged(deployment, left=-0.001) == (Verdict.OPEN, 0)
    assert judged(deployment) == (Verdict.DEAD, 1)


@pytest.mark.parametrize(
    ("code", "key", "verdict", "retired"),
    [
        ("VALID", "", Verdict.COMMITTED, 0),
        ("VALID", "ngo-donor-images/another/0.png", Verdict.DEAD, 0),
        ("MVCC_READ_CONFLICT", "", Verdict.DEAD, 1),
        ("ENDORSEMENT_POLICY_FAILURE", "", Verdict.DEAD, 1),
    ],
)
def test_only_a_valid_transaction_that_names_the_object_keeps_it(
    code: str, key: str, verdict: Verdict, retired: int, deployment: Deployment
) -> None:
    assert judged(deployment, code=code, key=key) == (verdict, retired)
