"""A function that hangs, in a sandbox whose time-outs are short enough to wait for."""

from dataclasses import replace

from world import World

from sandbox.assembly import Assembly
from sandbox.runtime import Sandbox


def shorter(assembly: Assembly) -> Assembly:
    functions = {
        arn: replace(function, timeout=4.0) if function.handler.startswith("invoke_chaincode.") else function
        for arn, function in assembly.functions.items()
    }
    return replace(assembly, functions=functions)


def test_a_function_that_hangs_is_ended_by_its_time_out_and_settled() -> None:
    """With the sandbox's own runtime client, which stands in where AWS's has no wheel."""
    with Sandbox(runtime="own", adapt=shorter) as sandbox:
        world = World(sandbox)
        assert world.create()[0] == 200
        world.name += "-hangs"
        frozen = sandbox.faults.place(world.chaincode, "freeze", when="started")
        status, answer = world.create(key=world.name)
        assert frozen.met == 1
        if status == 504:
            assert answer["error"] == "OutcomeUnknown"
            assert len(world.versions()) == 1
            status, answer = world.create(key=world.name)
        assert status == 200, answer
        assert world.record()["imageKey"] == answer["imageKey"]
        assert answer["imageKey"] in [key for key, _ in world.versions()]
