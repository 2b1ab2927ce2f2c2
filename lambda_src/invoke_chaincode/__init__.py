"""The chaincode function: submits a chaincode call to the ledger and says truthfully what became of it, or queries."""
