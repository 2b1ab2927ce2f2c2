"""Examines a deployment before it is made, with the functions' own code. `python -m offchain_stack check` runs it on
the operator's machine; no function's package has it."""
