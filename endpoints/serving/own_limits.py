"""What one request may carry and take in this model server: as an invocation, or more, where whoever started it says so
in the environment. Read once; called by the applications.
"""

from __future__ import annotations

import os
from typing import Final

from endpoints.serving.answers import MAX_BODY_BYTES

BODY_VARIABLE: Final = "MLPLATFORM_SERVER_BODY_BYTES"
ANSWER_VARIABLE: Final = "MLPLATFORM_SERVER_ANSWER_S"
ANSWER_S: Final = 60.0

BODY_BYTES_MAX: Final = int(os.environ.get(BODY_VARIABLE) or MAX_BODY_BYTES)
STUCK_S: Final = float(os.environ.get(ANSWER_VARIABLE) or ANSWER_S)
"""A prediction that runs longer is taken for one that hangs."""
