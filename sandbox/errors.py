"""The sandbox's own errors: one clear line for the person at the terminal."""


class SandboxError(Exception):
    """What is wrong with the input or the machine, and how to mend it."""
