"""What a model server is told: its command line and its environment. Plain data, Django-free."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from endpoints.model_code import ModelCode
from endpoints.model_files import MODEL_FOLDER
from endpoints.serving.own_limits import ANSWER_VARIABLE, BODY_VARIABLE
from endpoints.serving.script_outline import CODE_FOLDER, INFERENCE_NAME
from jobs.runner.control_groups import GroupLimits
from jobs.runner.launch import OPT_ML
from jobs.runner.sandbox import Mount, Sandbox, user_of
from jobs.runner.script_environment import environment_mounts
from mlplatform.core import BLAS_PATIENCE
from mlplatform.core.env import PROJECT_ROOT

SOCKET_FOLDER = Path("/run/model-server")
"""Where a model server in a sandbox finds the folder of its socket."""
OWN_PYTHON = Path(sys.executable)
TEMPORARY_FOLDER = "tmp"
_SOCKET_NAME = 16
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


@dataclass(frozen=True)
class ServerSpec:
    """All a model server needs to be told."""

    uid: str
    algorithm: str
    artifact_uri: str
    artifact_sha256: str
    n_threads: int
    memory_limit_bytes: int
    folder: Path
    socket: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    code: ModelCode | None = None
    max_body_bytes: int | None = None
    answer_within_s: float | None = None

    @property
    def model_dir(self) -> Path:
        return self.folder / MODEL_FOLDER

    @property
    def temporary_dir(self) -> Path:
        return self.folder / TEMPORARY_FOLDER

    @property
    def group_limits(self) -> GroupLimits:
        return GroupLimits.of_instance(memory_bytes=self.memory_limit_bytes, vcpus=self.n_threads)

    def sandbox(self, python: Path = OWN_PYTHON) -> Sandbox:
        """What the model server sees: its model as `/opt/ml/model`, the folder of its own socket, and its `/tmp`.

        Args:
            python: The interpreter, whose packages are shown.
        """
        return Sandbox(
            folder=self.folder,
            mounts=(
                Mount(self.folder, OPT_ML),
                Mount(self.temporary_dir, Path("/tmp"), writable=True),
                Mount(self.socket.parent, SOCKET_FOLDER, writable=True),
                *environment_mounts(python),
            ),
            user=user_of(self.uid),
            temporary=False,
        )

    def argv(
        self, *, sandbox: Sandbox, parent_pid: int, grace_s: int, python: Path = OWN_PYTHON
    ) -> list[str]:
        """The command line of the model server."""
        options = {
            "--socket": str(sandbox.inside(self.socket)),
            "--model-dir": str(sandbox.inside(self.model_dir)),
            "--algorithm": self.algorithm,
            "--threads": str(self.n_threads),
            "--parent-pid": str(parent_pid),
            "--grace-s": str(grace_s),
        }
        if self.code is not None:
            options |= {"--framework": self.code.framework, "--entry-point": self.code.entry_point}
        return [
            str(python),
            "-m",
            "endpoints.serving",
            *(part for pair in options.items() for part in pair),
            *(["--own-packages"] if python != OWN_PYTHON else []),
        ]

    def process_environment(self, sandbox: Sandbox) -> dict[str, str]:
        """The whole environment: nothing of our own, which has secrets, and no imports from the folder the
        model lies in.
        """
        return {
            **self._script_environment(sandbox),
            **self.environment,
            **dict.fromkeys(_THREAD_VARIABLES, str(self.n_threads)),
            **({BODY_VARIABLE: str(self.max_body_bytes)} if self.max_body_bytes else {}),
            **({ANSWER_VARIABLE: f"{self.answer_within_s:g}"} if self.answer_within_s else {}),
            "PATH": os.defpath,
            "HOME": str(sandbox.inside(self.temporary_dir)),
            "TMPDIR": str(sandbox.inside(self.temporary_dir)),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(PROJECT_ROOT),
            "PYTHONSAFEPATH": "1",
            "PYTHONUNBUFFERED": "1",
            BLAS_PATIENCE: os.environ[BLAS_PATIENCE],
        }

    def _script_environment(self, sandbox: Sandbox) -> dict[str, str]:
        """What the service tells an inference script."""
        if self.code is None:
            return {}
        code = sandbox.inside(self.model_dir / CODE_FOLDER)
        return {
            "SM_MODEL_DIR": str(sandbox.inside(self.model_dir)),
            "SAGEMAKER_PROGRAM": self.code.entry_point or INFERENCE_NAME,
            "SAGEMAKER_SUBMIT_DIRECTORY": str(code),
            "SAGEMAKER_BASE_DIR": str(sandbox.inside(self.folder)),
        }


def socket_folder(sockets: Path, *, uid: str) -> Path:
    """The folder of a replica's socket; by the beginning of its id, since the kernel takes short paths only."""
    return sockets / uid[:_SOCKET_NAME]
