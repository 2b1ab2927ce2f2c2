"""What the channel itself says of its batches. hfc is imported here, and only in a run on a real network."""

import os

os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"  # hfc's generated modules need it

import grpc
from hfc.protos.common import common_pb2, configtx_pb2
from hfc.protos.orderer import configuration_pb2

from .network import Target


def batches(target: Target) -> str:
    """The batch time-out and size of the channel's configuration, such as "50ms, at most 100 transactions".

    Raises RuntimeError where no peer tells: its access rules may keep the configuration from this identity.
    """
    from .raw_client import Client

    client = Client(target.as_json())
    try:
        data = client.evaluate("cscc", "GetConfigBlock", target.network.channel)
    except grpc.RpcError as error:
        raise RuntimeError(error.details()) from error
    finally:
        client.close()
    block = common_pb2.Block.FromString(data)
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(block.data.data[0]).payload)
    config = configtx_pb2.ConfigEnvelope.FromString(payload.data).config
    # hfc's messages are older than maps: lists of entries with key and value.
    groups = {entry.key: entry.value for entry in config.channel_group.groups}
    values = {entry.key: entry.value for entry in groups["Orderer"].values}
    timeout = configuration_pb2.BatchTimeout.FromString(values["BatchTimeout"].value).timeout
    size = configuration_pb2.BatchSize.FromString(values["BatchSize"].value).max_message_count
    return f"{timeout}, at most {size} transactions"
