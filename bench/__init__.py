"""Benchmark of the ledger client on a given Fabric network, beside a raw client and Node's fabric-network.

`python -m bench` measures, `python -m bench --help` says how. `measure` runs each client in processes of its own and
interleaves them; `worker` is such a process in Python, `fabric-network/bench.js` the one in Node; `report` and `chart`
write what was found.
"""
