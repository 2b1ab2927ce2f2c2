"""The verify-all function: holds every record's object against the ledger's hash."""
