"""The options of benchmarks, told with what the benchmark measures. No benchmark itself."""

from __future__ import annotations

import argparse


def options_parser(about: str | None, *, prog: str | None = None) -> argparse.ArgumentParser:
    """A parser whose help is a module's docstring as it stands."""
    return argparse.ArgumentParser(
        prog=prog, description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
