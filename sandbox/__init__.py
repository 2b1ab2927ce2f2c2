"""The embedded default: runs the synthesized cloud assembly on this machine."""
