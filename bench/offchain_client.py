"""The product's ledger client, called as the chaincode function calls it."""

import json
import os
import time
from typing import Any

from shared.identity import Identity
from shared.ledger.client import FabricLedger
from shared.ledger.interface import Call, CreatedRecord, Submit
from shared.ledger.network import Endpoint, Network
from shared.submission import NONCE_COUNT

ANSWER_WITHIN = 25.0


class Client:
    """`network` is `Target.as_json`."""

    def __init__(self, network: dict[str, Any]) -> None:
        def endpoints(nodes: list[dict[str, Any]]) -> tuple[Endpoint, ...]:
            return tuple(Endpoint(address=node["endpoint"], tls_hostname=node["tls_hostname"]) for node in nodes)

        self._identity = Identity(**network["identity"])
        self._ledger = FabricLedger(
            Network(
                channel=network["channel"],
                chaincode=network["chaincode"],
                peers=endpoints(network["peers"]),
                orderers=endpoints(network["orderers"]),
                tls_roots=network["tls_roots"],
            )
        )

    def prepare(self, function: str, argument: str) -> Submit:
        """The request as the workflow hands it over, without an Idempotency-Key; nothing is built or signed yet."""
        fields = json.loads(argument)
        own = {name: fields[name] for name in ("imageKey", "imageHash")}
        read = Call(function="queryDonor", arguments=(json.dumps({"donorUserName": fields["donorUserName"]}),))
        return Submit(
            call=Call(function=function, arguments=(argument,)),
            nonces=[os.urandom(24) for _ in range(NONCE_COUNT)],
            first_attempt=True,
            caller_named=False,
            created_record=CreatedRecord(read=read, required=own, where_present={"imageSha256": fields["imageSha256"]}),
        )

    def submit(self, request: Submit) -> None:
        """Returns when the transaction is committed as VALID; raises otherwise."""
        self._ledger.submit(self._identity, request, deadline=time.monotonic() + ANSWER_WITHIN)

    def close(self) -> None:
        self._ledger.close()
