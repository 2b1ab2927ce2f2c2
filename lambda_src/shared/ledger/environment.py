"""The ledger of the deployment that a function runs in."""

import functools
import os

from botocore.exceptions import BotoCoreError, ClientError

from .. import aws, errors
from .client import FabricLedger
from .interface import Ledger
from .network import Network


@functools.cache
def ledger() -> Ledger:
    """The ledger of `FABRIC_NETWORK`, made once per environment. Raises LedgerUnavailable where its TLS roots cannot be
    read from S3; the next call then tries again."""
    return FabricLedger(Network.from_json(os.environ["FABRIC_NETWORK"], _text_from_s3))


def _text_from_s3(bucket: str, key: str) -> str:
    try:
        text: str = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    except (BotoCoreError, ClientError) as error:
        raise errors.LedgerUnavailable(
            "The ledger's TLS roots could not be read; nothing was sent to the ledger. Try again later."
        ) from error
    return text
