"""Hyperledger Fabric emulation for development and tests: the real gRPC protocol over TLS, the real rules, in memory.

`FabricEmulation` serves peers and orderers on 127.0.0.1 that answer as Fabric 2.2 does. It is no ledger to rely on.
"""

import os

# hfc's generated messages are of the old style that only protobuf's pure Python implementation accepts.
os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")

from sandbox.fabric.chaincode import Chaincode, ChaincodeError, NoAnswer, Stub
from sandbox.fabric.faults import Fault, Faults
from sandbox.fabric.msp import Identity
from sandbox.fabric.network import FabricEmulation

__all__ = ["Chaincode", "ChaincodeError", "FabricEmulation", "Fault", "Faults", "Identity", "NoAnswer", "Stub"]
