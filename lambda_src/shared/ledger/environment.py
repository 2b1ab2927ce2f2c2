"""The ledger of the deployment that a function runs in."""

import functools
import json
import os

from botocore.exceptions import BotoCoreError, ClientError

from .. import aws, errors
from .client import FabricLedger
from .interface import Ledger
from .network import Network, Timing


@functools.cache
def ledger() -> Ledger:
    """The ledger of `FABRIC_NETWORK`, made once per environment. `FABRIC_TIMING`, where set, is a JSON object with some
    of `Timing`'s fields, for a network that is much slower or faster than usual. Raises LedgerUnavailable where its TLS
    roots cannot be read from S3; the next call then tries again."""
    timing = Timing(**json.loads(os.environ.get("FABRIC_TIMING", "{}")))
    return FabricLedger(Network.from_json(os.environ["FABRIC_NETWORK"], _text_from_s3), timing)


def _text_from_s3(bucket: str, key: str) -> str:
    try:
        text: str = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    except (BotoCoreError, ClientError) as error:
        raise errors.LedgerUnavailable(
            "The ledger's TLS roots could not be read; nothing was sent to the ledger. Try again later."
        ) from error
    return text
