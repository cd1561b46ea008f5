from tests.sandboxes import either_way, sandboxed

__all__ = ["either_way", "sandboxed"]
