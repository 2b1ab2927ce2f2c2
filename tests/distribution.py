"""Which tests a process runs, in which order: what shares something costly together, and what takes longest first."""

import os
from fnmatch import fnmatch

import pytest
from xdist.scheduler import LoadScopeScheduling

UNITS = (
    # These share deployments of the whole stack with short time limits.
    ("tests/sandbox/test_fault_table.py", "tests/sandbox/test_schedules.py"),
    ("tests/stack/test_wheel.py",),
    ("tests/unit/test_adopt_method.py",),
    ("tests/sandbox/test_cli.py",),
    ("tests/stack/test_packaging.py",),
    # These share a synthesized template, and a Node process that has loaded CDK.
    ("tests/stack/*", "tests/costs/*"),
    # These run stacks of several settings, made by one Node process.
    (
        "tests/sandbox/test_bound_callers.py",
        "tests/sandbox/test_examples_in_the_sandbox.py",
        "tests/sandbox/test_record_types.py",
        "tests/sandbox/test_third_record_type.py",
    ),
    # These share a sandbox.
    (
        "tests/sandbox/test_check_in_the_sandbox.py",
        "tests/sandbox/test_correlation.py",
        "tests/sandbox/test_create_flow.py",
        "tests/sandbox/test_read_flow.py",
        "tests/sandbox/test_shapes.py",
    ),
    ("tests/sandbox/test_openapi.py",),
    ("tests/sandbox/test_concurrency.py",),
    ("tests/sandbox/test_verify_all_command.py",),
    ("tests/unit/test_ledger_order_faults.py",),
)
"""Units of work for one process, as patterns of files of which the first that fits counts, longest units first. Every
other file is a unit of its own, and comes later."""


def unit(nodeid: str) -> int:
    """The number of the unit that a test belongs to; that of no unit for a test of any other file."""
    file = nodeid.partition("::")[0]
    fitting = (number for number, files in enumerate(UNITS) if any(fnmatch(file, pattern) for pattern in files))
    return next(fitting, len(UNITS))


class _Units(LoadScopeScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        number = unit(nodeid)
        return nodeid.partition("::")[0] if number == len(UNITS) else str(number)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling | None:
    return _Units(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_xdist_auto_num_workers() -> int:
    """One process more than processors: many tests wait for what they have frozen or killed."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: unit(item.nodeid))
