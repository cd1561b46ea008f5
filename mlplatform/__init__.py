"""The platform: settings, pages, REST API, and what all rooms share (`mlplatform.core`)."""

from __future__ import annotations

import os
from typing import Final

BLAS_PATIENCE: Final = ("OPENBLAS_THREAD_TIMEOUT", "20")
"""For the BLAS of numpy and faiss: a thread of it that has nothing to do looks for work for 2^20 turns of the
processor, half a millisecond, and then sleeps. Otherwise it is 2^28, which is 0.13 s of every further processor for
each process that has only imported numpy.
"""
os.environ.setdefault(*BLAS_PATIENCE)  # it is read when numpy is imported
