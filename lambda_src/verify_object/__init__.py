"""The verify function: holds a record's object in S3 against the ledger's hash, and hands out a way to it."""
