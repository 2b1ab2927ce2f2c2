"""The query function: reads records and transactions from the ledger; changes nothing anywhere."""
