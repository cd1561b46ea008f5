"""What all rooms share."""

import os
from typing import Final

BLAS_PATIENCE: Final = "OPENBLAS_THREAD_TIMEOUT"
"""For the BLAS of numpy and faiss, which read it when they are imported: a thread of it that has nothing to do looks
for work for 2 to the power of so many turns of the processor, and then sleeps. With 20 that is half a millisecond.
Otherwise it is 28: 0.13 s of every processor but one for each process that has only imported numpy.
"""
os.environ.setdefault(BLAS_PATIENCE, "20")
