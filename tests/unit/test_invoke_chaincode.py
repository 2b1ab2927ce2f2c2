"""The chaincode function's events, answers and errors, through its Lambda handler."""

import datetime
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import pytest
from invoke_chaincode.handler import handler
from shared import aws, errors, identities, record_type
from shared.identities import Identity
from shared.ledger import environment
from shared.ledger.client import FabricLedger
from shared.ledger.network import Network, Timing

from sandbox.fabric.msp import CertificateAuthority
from tests.unit import upload_samples
from tests.unit.fabric_fixtures import TIMING, Donor, Fabric, client_identity, fabric, fabric_of_module
from tests.unit.signals import CORRELATION_ID, Signals, trace

__all__ = ["fabric", "fabric_of_module"]


@dataclass
class Context:
    remaining: float = 4.0
    aws_request_id: str = "request-1"
    function_name: str = "chaincode"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.remaining * 1000)


class Deployment:
    """The function as deployed: its environment, its secrets and its TLS roots."""

    def __init__(self, fabric: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fabric = fabric
        network = {
            "channel": "mychannel",
            "chaincode": "ngo",
            "peers": [{"endpoint": p.endpoint, "tlsHostname": "localhost"} for p in fabric.emulation.peers],
            "orderers": [{"endpoint": o.endpoint, "tlsHostname": "localhost"} for o in fabric.emulation.orderers],
            "tlsRoots": "s3://us-east-1.managedblockchain/etc/managedblockchain-tls-chain.pem",
            "endorsements": 1,
        }
        secrets = {"certificate": "user/signcert", "privateKey": "user/pk"}
        other = {"certificate": "other/signcert", "privateKey": "other/pk"}
        functions = {"invoke": ["createDonor"], "query": ["queryDonor", "queryAllDonors"]}
        allowed = {"mspId": "Org1MSP", "users": {"lambdaUser": secrets, "other": other}}
        monkeypatch.setenv("FABRIC_NETWORK", json.dumps(network))
        monkeypatch.setenv("FABRIC_TIMING", json.dumps(asdict(TIMING)))
        monkeypatch.setenv("FABRIC_IDENTITIES", json.dumps(allowed))
        monkeypatch.setenv("RECORD_TYPE", upload_samples.ENVIRONMENT["RECORD_TYPE"])
        monkeypatch.setenv("CHAINCODE_FUNCTIONS", json.dumps(functions))
        monkeypatch.setattr(environment, "FabricLedger", self._ledger)
        bucket = {"CreateBucketConfiguration": {"LocationConstraint": "us-west-2"}}
        aws.client("s3").create_bucket(Bucket="us-east-1.managedblockchain", **bucket)
        aws.client("s3").put_object(
            Bucket="us-east-1.managedblockchain",
            Key="etc/managedblockchain-tls-chain.pem",
            Body=fabric.emulation.tls_roots_pem.encode(),
        )
        self.rotate("user", fabric.identity)
        self.rotate("other", client_identity(fabric.emulation, "other"))
        for cache in (identities.from_environment, record_type.from_environment, environment.ledger):
            cache.cache_clear()

    def _ledger(self, network: Network, timing: Timing) -> FabricLedger:
        made = FabricLedger(network, timing)
        self.fabric.ledgers.append(made)
        return made

    @staticmethod
    def rotate(user: str, identity: Identity) -> None:
        """Put an identity into the user's secrets."""
        client = aws.client("secretsmanager")
        for name, value in (("signcert", identity.certificate), ("pk", identity.private_key)):
            try:
                client.create_secret(Name=f"{user}/{name}", SecretString=value)
            except client.exceptions.ResourceExistsException:
                client.put_secret_value(SecretId=f"{user}/{name}", SecretString=value)

    def event(self, donor: Donor, **changes: Any) -> dict[str, Any]:
        """What the workflow sends for `donor`."""
        return {
            "fabricUsername": "lambdaUser",
            "functionType": "invoke",
            "chaincodeFunction": "createDonor",
            "chaincodeFunctionArgs": donor.fields,
            "submission": {
                "submissionId": donor.idempotency_key,
                "nonces": [nonce.hex() for nonce in donor.nonces],
                "transactionIds": donor.ids(self.fabric.identity),
                "earlierTransactionIds": [],
                "created": True,
            },
            "attempt": "first",
            "executionStartTime": datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z"),
            **changes,
        }


@pytest.fixture
def deployment(fabric: Fabric, monkeypatch: pytest.MonkeyPatch, aws_emulation: None) -> Iterator[Deployment]:
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    s3_backends[DEFAULT_ACCOUNT_ID]["global"].reset()
    yield Deployment(fabric, monkeypatch)
    environment.ledger.cache_clear()


def settling(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "attempt": "settle"}


def test_a_create_answers_with_the_transaction_id(deployment: Deployment) -> None:
    donor = Donor()
    answer = handler(deployment.event(donor), Context())
    assert answer == {"transactionId": donor.ids(deployment.fabric.identity)[0]}
    assert deployment.fabric.record(donor) == {**donor.fields, "docType": "donor"}


def test_the_connections_are_made_once(deployment: Deployment) -> None:
    for _ in range(3):
        handler(deployment.event(Donor()), Context())
    assert len(deployment.fabric.ledgers) == 1


def test_a_repeated_event_answers_the_same(deployment: Deployment) -> None:
    event = deployment.event(Donor())
    assert handler(event, Context()) == handler(event, Context()) == handler(settling(event), Context())


def test_the_error_has_the_record_types_name_and_a_json_text(deployment: Deployment) -> None:
    donor = Donor()
    handler(deployment.event(donor), Context())
    with pytest.raises(errors.RecordAlreadyExists) as raised:
        handler(deployment.event(Donor(name=donor.name, image="second")), Context())
    assert type(raised.value).__name__ == "DonorAlreadyExists"
    assert set(json.loads(str(raised.value))) == {"message"}


def test_an_open_verdict_names_the_transaction(deployment: Deployment) -> None:
    donor = Donor()
    for peer in deployment.fabric.emulation.peers:
        peer.pause_commits()
    with pytest.raises(errors.OutcomeUnknown) as raised:
        handler(deployment.event(donor), Context(remaining=1.6))
    assert json.loads(str(raised.value))["transactionId"] == donor.ids(deployment.fabric.identity)[0]


def test_the_answer_leaves_time_before_the_api_gives_up(deployment: Deployment) -> None:
    """An execution that began 24.4 s ago has 0.6 s left, however long Lambda would let the function run."""
    for peer in deployment.fabric.emulation.peers:
        peer.pause_commits()
    started = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=24.4)
    began = time.monotonic()
    with pytest.raises(errors.OutcomeUnknown):
        handler(deployment.event(Donor(), executionStartTime=started.isoformat()), Context(remaining=30))
    assert time.monotonic() - began < 1.4


@pytest.mark.parametrize(
    ("change", "certain"),
    [
        ({}, True),
        ({"attempt": "settle"}, False),
        ({"attempt": ""}, False),
        ({"submission": {"created": False}}, False),
        ({"submission": {"created": None}}, False),
    ],
)
def test_only_a_first_attempt_is_certain(deployment: Deployment, change: dict[str, Any], certain: bool) -> None:
    event = deployment.event(Donor())
    event["submission"].update(change.pop("submission", {}))
    deployment.fabric.emulation.chaincode_down(True)
    with pytest.raises(errors.OffchainError) as raised:
        handler({**event, **change}, Context())
    assert (type(raised.value), raised.value.certain) == (
        (errors.LedgerUnavailable, True) if certain else (errors.OutcomeUnknown, False)
    )


def test_the_users_certificate_was_rotated_before_the_event(deployment: Deployment) -> None:
    """The function has the old one in memory, the event was planned with the new one."""
    handler(deployment.event(Donor()), Context())
    renewed = client_identity(deployment.fabric.emulation, "lambdaUser-renewed")
    deployment.rotate("user", renewed)
    donor = Donor()
    event = deployment.event(donor)
    event["submission"]["transactionIds"] = donor.ids(renewed)
    assert handler(event, Context()) == {"transactionId": donor.ids(renewed)[0]}


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_a_function_that_has_not_read_the_new_certificate_yet_planned_the_event(
    deployment: Deployment, warm: bool
) -> None:
    deployment.rotate("user", client_identity(deployment.fabric.emulation, "lambdaUser-renewed"))
    if warm:
        identities.from_environment().identity("lambdaUser")
    donor = Donor()
    assert handler(deployment.event(donor), Context()) == {"transactionId": donor.ids(deployment.fabric.identity)[0]}


def test_a_rotation_is_half_done(deployment: Deployment) -> None:
    handler(deployment.event(Donor()), Context())
    renewed = client_identity(deployment.fabric.emulation, "lambdaUser-renewed")
    deployment.rotate("user", replace(renewed, certificate=deployment.fabric.identity.certificate))
    identities.from_environment().forget("lambdaUser")
    assert handler(deployment.event(Donor()), Context())
    identities.from_environment.cache_clear()
    donor = Donor()
    with pytest.raises(errors.LedgerUnavailable):
        handler(deployment.event(donor), Context())
    with pytest.raises(errors.OutcomeUnknown):
        handler(settling(deployment.event(donor)), Context())


def test_the_certificate_that_planned_the_event_is_in_no_secret_any_more(deployment: Deployment) -> None:
    committed, lost = Donor(), Donor()
    answer = handler(deployment.event(committed), Context())
    for name in ("lambdaUser-renewed", "lambdaUser-renewed-again"):
        deployment.rotate("user", client_identity(deployment.fabric.emulation, name))
    identities.from_environment.cache_clear()
    with pytest.raises(errors.LedgerUnavailable):
        handler(deployment.event(lost), Context())
    with pytest.raises(errors.OutcomeUnknown):
        handler(settling(deployment.event(lost)), Context())
    assert handler(settling(deployment.event(committed)), Context()) == answer
    assert deployment.fabric.record(lost) is None


def test_a_later_attempt_only_looks_up_what_an_earlier_certificate_planned(deployment: Deployment) -> None:
    """The ledger may accept the earlier certificate no more."""
    donor = Donor()
    deployment.rotate("user", client_identity(deployment.fabric.emulation, "lambdaUser-renewed"))
    with pytest.raises(errors.OutcomeUnknown):
        handler(settling(deployment.event(donor)), Context())
    assert deployment.fabric.record(donor) is None


@pytest.mark.parametrize("kind", ["invoke", "queryString"])
def test_an_identity_that_the_ledger_denies_is_read_again_at_the_next_call(deployment: Deployment, kind: str) -> None:
    function = "createDonor" if kind == "invoke" else "queryAllDonors"
    event = {"functionType": kind, "chaincodeFunction": function, "chaincodeFunctionArgs": Donor().fields}
    stranger = client_identity(deployment.fabric.emulation, "lambdaUser", msp_id="OrdererMSP")
    deployment.rotate("user", stranger)
    identities.from_environment().identity("lambdaUser")
    deployment.rotate("user", deployment.fabric.identity)
    with pytest.raises(errors.EndorsementFailed):
        handler(event, Context())
    assert handler(event, Context())


def test_an_earlier_executions_transaction_is_found(deployment: Deployment) -> None:
    donor = Donor()
    answer = handler(deployment.event(donor), Context())
    renewed = client_identity(deployment.fabric.emulation, "lambdaUser-renewed")
    deployment.rotate("user", renewed)
    event = deployment.event(donor)
    event["submission"].update(
        transactionIds=donor.ids(renewed), earlierTransactionIds=donor.ids(deployment.fabric.identity), created=False
    )
    assert handler(event, Context()) == answer


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        ({"functionType": "delete"}, errors.InvalidRequest, "functionType"),
        ({"chaincodeFunction": "createNGO"}, errors.InvalidRequest, "chaincodeFunction"),
        ({"chaincodeFunction": "queryDonor"}, errors.InvalidRequest, "chaincodeFunction"),
        (
            {"functionType": "queryObject", "chaincodeFunction": "createDonor"},
            errors.InvalidRequest,
            "chaincodeFunction",
        ),
        ({"chaincodeFunctionArgs": ["x"]}, errors.InvalidRequest, "chaincodeFunctionArgs"),
        ({"chaincodeFunctionArgs": {"donorUserName": "\ud83d"}}, errors.InvalidRequest, "chaincodeFunctionArgs"),
        ({"fabricUsername": "admin"}, errors.Forbidden, "fabricUsername"),
    ],
)
def test_what_the_deployment_does_not_allow(
    deployment: Deployment, change: dict[str, Any], error: type[Exception], field: str
) -> None:
    donor = Donor()
    event = deployment.event(donor, **change)
    with pytest.raises(error, match=field):
        handler(event, Context())
    assert deployment.fabric.codes(donor.ids(deployment.fabric.identity)[0]) == []


@pytest.mark.parametrize(
    "change", [{"fabricUsername": "admin"}, {"chaincodeFunction": "createNGO"}, {"chaincodeFunctionArgs": ["x"]}]
)
def test_a_deployment_that_changed_meanwhile_makes_nothing_certain(
    deployment: Deployment, change: dict[str, Any]
) -> None:
    with pytest.raises(errors.OutcomeUnknown):
        handler(settling(deployment.event(Donor(), **change)), Context())


@pytest.mark.parametrize("first", [True, False])
def test_the_secret_cannot_be_read(deployment: Deployment, first: bool) -> None:
    aws.client("secretsmanager").delete_secret(SecretId="user/pk", ForceDeleteWithoutRecovery=True)
    event = deployment.event(Donor())
    with pytest.raises(errors.LedgerUnavailable if first else errors.OutcomeUnknown):
        handler(event if first else settling(event), Context())


@pytest.mark.parametrize("first", [True, False])
def test_the_tls_roots_cannot_be_read(deployment: Deployment, first: bool) -> None:
    key = {"Bucket": "us-east-1.managedblockchain", "Key": "etc/managedblockchain-tls-chain.pem"}
    aws.client("s3").delete_object(**key)
    event = deployment.event(Donor())
    with pytest.raises(errors.LedgerUnavailable if first else errors.OutcomeUnknown):
        handler(event if first else settling(event), Context())
    aws.client("s3").put_object(**key, Body=deployment.fabric.emulation.tls_roots_pem.encode())
    assert handler(event if first else settling(event), Context())


OTHER_ROOT = CertificateAuthority.create("another network's").pem
LENIENT: dict[str, Callable[[str], bytes]] = {
    "without a line break between two": lambda pem: (OTHER_ROOT.strip() + pem.strip()).encode(),
    "byte order mark": lambda pem: (OTHER_ROOT + pem).encode("utf-8-sig"),
    "UTF-16": lambda pem: (OTHER_ROOT + pem).encode("utf-16"),
    "blanks for line breaks": lambda pem: (OTHER_ROOT + pem).replace("\n", " ").encode(),
    "CR only": lambda pem: (OTHER_ROOT + pem).replace("\n", "\r").encode(),
    "indented": lambda pem: ("  " + (OTHER_ROOT + pem).replace("\n", "\n  ")).encode(),
    "no-break spaces": lambda pem: (OTHER_ROOT + pem).replace("\n", "\u00a0\n").encode(),
}


@pytest.mark.parametrize("form", LENIENT.values(), ids=LENIENT)
def test_tls_roots_in_any_form_are_trusted(deployment: Deployment, form: Callable[[str], bytes]) -> None:
    key = {"Bucket": "us-east-1.managedblockchain", "Key": "etc/managedblockchain-tls-chain.pem"}
    aws.client("s3").put_object(**key, Body=form(deployment.fabric.emulation.tls_roots_pem))
    assert handler(deployment.event(Donor()), Context())


@pytest.mark.parametrize("stored", [b'{"pem": "x"}', OTHER_ROOT[:300].encode(), b"", b"\x00\xff"])
def test_unusable_tls_roots_are_the_operators_to_mend_and_named_in_the_log(
    deployment: Deployment, stored: bytes, signals: Signals
) -> None:
    key = {"Bucket": "us-east-1.managedblockchain", "Key": "etc/managedblockchain-tls-chain.pem"}
    aws.client("s3").put_object(**key, Body=stored)
    with pytest.raises(errors.LedgerUnavailable, match=r"TLS roots are not usable; nothing was sent .* Tell the oper"):
        handler(deployment.event(Donor()), Context())
    line = signals.message("The ledger's TLS roots are not usable")
    assert line["reason"].startswith(f"s3://{key['Bucket']}/{key['Key']}: ")


@pytest.mark.parametrize(
    "form",
    [
        lambda certificate, key: key + certificate,
        lambda certificate, key: certificate + key,
        lambda certificate, key: "\ufeff" + certificate.replace("\n", "\r"),
        lambda certificate, key: certificate.replace("\n", " ") + key.replace("\n", " "),
    ],
    ids=["the key first", "the key behind", "BOM and CR", "in one line"],
)
def test_what_peers_and_the_ledger_get_is_the_certificate_alone(
    deployment: Deployment, form: Callable[[str, str], str], signals: Signals
) -> None:
    fabric, donor = deployment.fabric, Donor()
    identity = fabric.identity
    for _ in ("before the last rotation", "now"):
        deployment.rotate("user", replace(identity, certificate=form(identity.certificate, identity.private_key)))
    assert handler(deployment.event(donor), Context()) == {"transactionId": donor.ids(identity)[0]}
    ordered = b"".join(
        transaction.raw
        for committed in fabric.emulation.peers[0].ledger.blocks
        for transaction in committed.block.transactions
    )
    assert identity.certificate.encode() in ordered
    assert b"PRIVATE KEY" not in ordered
    assert not any(line in signals.text for line in identity.private_key.splitlines())


def test_a_direct_call_as_the_workshop_makes_it(deployment: Deployment) -> None:
    donor = {"donorUserName": Donor().name, "email": "ada@example.org"}
    event = {
        "fabricUsername": "lambdaUser",
        "functionType": "invoke",
        "chaincodeFunction": "createDonor",
        "chaincodeFunctionArgs": donor,
    }
    answer = handler(event, Context())
    assert deployment.fabric.codes(answer["transactionId"]) == ["VALID"]
    with pytest.raises(errors.RecordAlreadyExists):
        handler(event, Context())

    query = {**event, "chaincodeFunction": "queryDonor"}
    stored = {**donor, "docType": "donor"}
    assert handler({**query, "functionType": "queryObject"}, Context()) == stored
    assert json.loads(handler({**query, "functionType": "queryString"}, Context())) == stored
    everyone = {**event, "chaincodeFunction": "queryAllDonors", "functionType": "queryArray"}
    del everyone["chaincodeFunctionArgs"]
    assert {"Key": f"donor{donor['donorUserName']}", "Record": stored} in handler(everyone, Context())


def test_defaults(deployment: Deployment) -> None:
    donor = Donor()
    event = deployment.event(donor, fabricUsername="", functionType="", chaincodeFunction="")
    assert handler(event, Context()) == {"transactionId": donor.ids(deployment.fabric.identity)[0]}


def test_logs_metrics_and_trace_carry_ids_and_no_content(deployment: Deployment, signals: Signals) -> None:
    donor = Donor()
    second = Donor(name=donor.name, image="second")
    with trace() as sent:
        handler(deployment.event(donor, correlationId=CORRELATION_ID), Context())
        with pytest.raises(errors.RecordAlreadyExists):
            handler(deployment.event(second, correlationId=CORRELATION_ID), Context())
    signals.require_correlated("request-1")
    # The ledger client's own line, too.
    for message, whose in (("Done", donor), ("Not endorsed", second), ("Refused", second)):
        line = signals.message(message)
        ids = whose.idempotency_key, whose.ids(deployment.fabric.identity)[0]
        assert (line["submissionId"], line["transactionId"]) == ids
    measured = signals.metrics()
    (latency,) = measured.pop("LedgerLatency")
    assert 0 < latency < 5_000
    assert measured == {"Created": [1.0], "RecordAlreadyExists": [1.0]}
    assert [part["name"] for part in sent] == ["Endorse", "Order", "AwaitCommit", "Handler", "Endorse", "Handler"]
    assert [part["annotations"]["outcome"] for part in sent if part["name"] == "Handler"] == list(measured)
    for secret in ("PRIVATE KEY", "BEGIN", "example.org"):
        assert secret not in signals.text + json.dumps(sent)


def test_lines_name_the_transaction_of_the_moment(deployment: Deployment, signals: Signals) -> None:
    """The first id is used up, so that the second one is ordered."""
    donor, identity = Donor(), deployment.fabric.identity
    environment.ledger().retire(identity, donor.nonces[0], "", deadline=time.monotonic() + 2)
    deployment.fabric.emulation.orderers[0].kill()
    answer = handler(settling(deployment.event(donor)), Context())
    (line,) = [line for line in signals.log if line["message"].startswith("An orderer ")]
    assert line["transactionId"] == signals.message("Done")["transactionId"] == answer["transactionId"]
    assert answer["transactionId"] == donor.ids(identity)[1]


def test_a_transaction_that_cannot_be_named_is_absent(deployment: Deployment) -> None:
    """The certificate was renewed, and qscc does not answer; the record says that the request succeeded."""
    donor = Donor()
    first = handler(deployment.event(donor), Context())
    renewed = client_identity(deployment.fabric.emulation, "renewed")
    deployment.rotate("user", renewed)
    identities.from_environment.cache_clear()
    event = deployment.event(donor)
    event["submission"] |= {
        "created": False,
        "transactionIds": donor.ids(renewed),
        "earlierTransactionIds": donor.ids(deployment.fabric.identity),
    }
    assert handler(settling(event), Context()) == first
    deployment.fabric.emulation.faults.place("query", "refuse", times=None, function="GetTransactionByID")
    assert handler(settling(event), Context()) == {}


def test_what_the_chaincode_returns_is_not_carried_through_the_workflow(deployment: Deployment) -> None:
    donor, reading = Donor(), {"chaincodeFunction": "queryDonor"}
    handler(deployment.event(donor), Context())
    direct = {"functionType": "invoke", "chaincodeFunctionArgs": {"donorUserName": donor.name}} | reading
    functions = {"invoke": ["createDonor", "queryDonor"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAINCODE_FUNCTIONS", json.dumps(functions))
        assert json.loads(handler(direct, Context())["result"])["donorUserName"] == donor.name
        planned = deployment.event(Donor(), **reading, chaincodeFunctionArgs=direct["chaincodeFunctionArgs"])
        assert set(handler(planned, Context())) == {"transactionId"}


def test_a_query_is_an_answer_and_no_creation(deployment: Deployment, signals: Signals) -> None:
    donor = Donor()
    handler(deployment.event(donor), Context())
    query = {"functionType": "queryObject", "chaincodeFunction": "queryDonor"}
    handler({**query, "chaincodeFunctionArgs": {"donorUserName": donor.name}}, Context())
    measured = signals.metrics()
    assert (measured["Created"], measured["Answered"], len(measured["LedgerLatency"])) == ([1.0], [1.0], 1)


def test_an_unknown_outcome_is_counted_and_named(deployment: Deployment, signals: Signals) -> None:
    donor = Donor()
    for peer in deployment.fabric.emulation.peers:
        peer.pause_commits()
    with pytest.raises(errors.OutcomeUnknown):
        handler(deployment.event(donor, correlationId=CORRELATION_ID), Context(remaining=1.6))
    assert signals.metrics() == {"OutcomeUnknown": [1.0]}
    assert signals.message("Refused")["transactionId"] == donor.ids(deployment.fabric.identity)[0]
    signals.require_correlated("request-1")
