"""The Fabric ledger: `interface` says what it does, `client` does it over `transport`, with what `messages` builds."""
