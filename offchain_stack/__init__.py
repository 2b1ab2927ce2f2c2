"""AWS CDK constructs that keep data in Amazon S3 and its proof on Hyperledger Fabric.

Each is usable alone in a stack of your own:

    from offchain_stack import OffChainStore

    OffChainStore(self, "Store", vpc=vpc)
"""

from .api import DonorApi
from .fabric import Endpoint, FabricNetwork, FabricUser
from .functions import ChaincodeFunction, SweepFunction, UploadFunction
from .record_type import DONOR, LedgerField, RecordType
from .settings import Settings, SettingsError
from .stack import OffChainStack
from .store import OffChainStore
from .sweep import SweepWorkflow
from .workflow import CreateWorkflow

__all__ = [
    "DONOR",
    "ChaincodeFunction",
    "CreateWorkflow",
    "DonorApi",
    "Endpoint",
    "FabricNetwork",
    "FabricUser",
    "LedgerField",
    "OffChainStack",
    "OffChainStore",
    "RecordType",
    "Settings",
    "SettingsError",
    "SweepFunction",
    "SweepWorkflow",
    "UploadFunction",
]
