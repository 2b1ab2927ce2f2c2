"""What the Lambda functions share: the record type, submissions, identities, errors, AWS clients and logs."""
