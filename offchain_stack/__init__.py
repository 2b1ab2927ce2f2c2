"""AWS CDK constructs that keep data in Amazon S3 and its proof on Hyperledger Fabric.

Each is usable alone in a stack of your own:

    from offchain_stack import OffChainStore

    OffChainStore(self, "Store", vpc=vpc)
"""

from .api import DonorApi
from .batches import SweepWorkflow, VerifyAllWorkflow
from .connection_profile import ConnectionProfile, ConnectionProfileError
from .endpoint import Endpoint
from .existing_method import ExistingMethod
from .fabric import FabricNetwork, FabricUser
from .functions import (
    ChaincodeFunction,
    QueryFunction,
    SweepFunction,
    UploadFunction,
    VerifyAllFunction,
    VerifyFunction,
)
from .read_workflow import ReadWorkflow
from .record_type import DONOR, LedgerField, RecordType
from .settings import Settings, SettingsError
from .stack import OffChainStack
from .store import OffChainStore
from .workflow import CreateWorkflow

__all__ = [
    "DONOR",
    "ChaincodeFunction",
    "ConnectionProfile",
    "ConnectionProfileError",
    "CreateWorkflow",
    "DonorApi",
    "Endpoint",
    "ExistingMethod",
    "FabricNetwork",
    "FabricUser",
    "LedgerField",
    "OffChainStack",
    "OffChainStore",
    "QueryFunction",
    "ReadWorkflow",
    "RecordType",
    "Settings",
    "SettingsError",
    "SweepFunction",
    "SweepWorkflow",
    "UploadFunction",
    "VerifyAllFunction",
    "VerifyAllWorkflow",
    "VerifyFunction",
]
