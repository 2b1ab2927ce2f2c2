"""The look-up function: asks Amazon Managed Blockchain for endpoints while a stack is deployed."""
