"""The sweep: settles what an execution left without a verdict."""
