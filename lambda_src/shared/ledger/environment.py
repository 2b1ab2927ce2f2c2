"""The ledger of the deployment that a function runs in."""

import functools
import json
import os
from dataclasses import replace

from botocore.exceptions import BotoCoreError, ClientError

from .. import aws, errors, pem
from ..observability import logger
from .client import FabricLedger
from .interface import Ledger
from .network import Network, Timing


@functools.cache
def ledger() -> Ledger:
    """The ledger of `FABRIC_NETWORK`, made once per environment. `FABRIC_TIMING`, where set, is a JSON object with some
    of `Timing`'s fields, for a network that is much slower or faster than usual. Raises LedgerUnavailable where its TLS
    roots cannot be read from S3 or used; the next call then tries again."""
    timing = Timing(**json.loads(os.environ.get("FABRIC_TIMING", "{}")))
    try:
        network = Network.from_json(os.environ["FABRIC_NETWORK"], _roots_from_s3)
        network = replace(network, tls_roots=pem.roots(network.tls_roots, "tlsRoots of FABRIC_NETWORK"))
    except pem.NotUsable as error:
        logger.error("The ledger's TLS roots are not usable", extra={"reason": str(error)})
        raise errors.LedgerUnavailable(
            "The ledger's TLS roots are not usable; nothing was sent to the ledger. Tell the operator."
        ) from error
    return FabricLedger(network, timing)


def _roots_from_s3(bucket: str, key: str) -> str:
    try:
        stored: bytes = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except (BotoCoreError, ClientError) as error:
        raise errors.LedgerUnavailable(
            "The ledger's TLS roots could not be read; nothing was sent to the ledger. Try again later."
        ) from error
    return pem.roots(stored, f"s3://{bucket}/{key}")
