from tests.sandboxes import sandboxed

__all__ = ["sandboxed"]
