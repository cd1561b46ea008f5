"""What a script is started with: its command line, its environment, its folder. Django-free; imports no library.

Everything is as the service's training toolkit has it, so that a script that was written for it sees no difference. The
process that reads this is turned into the script (`jobs.runner.script`).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jobs.frameworks import FRAMEWORKS
from jobs.runner.script.arguments import (
    LOG_LEVEL,
    command_line,
    hyperparameters_decoded,
    hyperparameters_split,
)
from jobs.runner.spec import JobSpec, ScriptSpec

TOOLKIT: Final = Path(__file__).resolve().parent / "toolkit"
_LOG_LEVEL: Final = 20
_PACKAGE: Final = "setup.py"
_RUN_SHELL: Final = 'exec "$0" "$@"'
_OURS: Final = frozenset({"PYTHONSAFEPATH", "PYTHONPATH"})
"""Variables of the platform's own process that the script is not to see as they are."""


@dataclass(frozen=True)
class ScriptCall:
    """A script about to be run: `argv` begins with the path of the program to exec, `folder` is where it starts."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    entry_point: str

    @property
    def is_python_file(self) -> bool:
        """Whether it is one file of Python, and neither a shell script nor a package that is run as a module."""
        return len(self.argv) > 1 and self.argv[1] == self.entry_point and self.entry_point.endswith(".py")


def script_call(job: JobSpec, given: Mapping[str, str]) -> ScriptCall:
    """How the script of a job is run.

    Args:
        given: The environment of the job's process.
    """
    script = job.script
    assert script is not None
    values, reserved = _hyperparameters(job)
    words = command_line(values)
    variables = _variables(job, script, values, reserved, words)
    kept = {name: value for name, value in given.items() if name not in _OURS}
    environment = {
        **kept,
        **{f"SM_{name.upper()}": _text(value) for name, value in variables.items() if _can_be_set(name)},
        "PYTHONPATH": os.pathsep.join([str(job.code_dir), *_toolkit(script)]),
        "PATH": os.pathsep.join([str(Path(script.python).parent), given.get("PATH", os.defpath)]),
    }
    argv = (*_program(job.code_dir, script), *words)
    return ScriptCall(argv, environment, job.code_dir, script.entry_point)


def _toolkit(script: ScriptSpec) -> list[str]:
    """Where the service's toolkit is imported from, unless the script has packages of its own, that one perhaps."""
    return [str(TOOLKIT)] if script.python == sys.executable else []


def _hyperparameters(job: JobSpec) -> tuple[dict[str, Any], dict[str, Any]]:
    texts = json.loads(job.hyperparameters_file.read_text(encoding="utf-8"))
    return hyperparameters_split(hyperparameters_decoded(texts))


def _program(code: Path, script: ScriptSpec) -> tuple[str, ...]:
    """A shell script by itself, a package with setup.py as a module, anything else as a file of Python."""
    if script.entry_point.endswith(".sh"):
        return ("/bin/sh", "-c", _RUN_SHELL, f"./{script.entry_point}")
    if (code / _PACKAGE).is_file():
        return (script.python, "-m", _module(script).replace("/", "."))
    return (script.python, script.entry_point)


def _module(script: ScriptSpec) -> str:
    return script.entry_point.removesuffix(".py")


def _variables(
    job: JobSpec,
    script: ScriptSpec,
    values: Mapping[str, Any],
    reserved: Mapping[str, Any],
    words: list[str],
) -> dict[str, Any]:
    """Every `SM_` variable by its name without that."""
    resource = _read(job.config_dir / "resourceconfig.json")
    channels = {name: str(job.data_dir / name) for name in sorted(job.channels)}
    host, groups = resource["current_host"], resource["instance_groups"]
    group = resource["current_group_name"]
    shared: dict[str, Any] = {
        "hosts": resource["hosts"],
        "current_host": host,
        "network_interface_name": resource["network_interface_name"],
        "current_instance_type": resource["current_instance_type"],
        "current_instance_group": group,
        "current_instance_group_hosts": [host],
        "instance_groups": [each["instance_group_name"] for each in groups],
        "instance_groups_dict": {each["instance_group_name"]: each for each in groups},
        "distribution_instance_groups": [],
        "is_hetero": False,
        "resource_config": resource,
        "input_data_config": _read(job.config_dir / "inputdataconfig.json"),
        "input_dir": str(job.root / "input"),
        "input_config_dir": str(job.config_dir),
        "output_dir": str(job.output_dir),
        "output_data_dir": str(job.output_dir / "data"),
        "output_intermediate_dir": str(job.output_dir / "intermediate"),
        "model_dir": str(job.model_dir),
        "module_name": _module(script),
        "module_dir": script.source_uri,
        "framework_module": FRAMEWORKS[script.framework].module,
        "num_cpus": job.n_threads,
        "num_gpus": script.n_gpus,
        "num_neurons": 0,
        "log_level": reserved.get(LOG_LEVEL, _LOG_LEVEL),
        "user_entry_point": script.entry_point,
    }
    training_env = shared | {
        "additional_framework_parameters": dict(reserved),
        "channel_input_dirs": channels,
        "hyperparameters": dict(values),
        "is_master": host == resource["hosts"][0],
        "is_modelparallel_enabled": None,
        "job_name": job.name,
        "master_hostname": resource["hosts"][0],
    }
    return (
        shared
        | {
            "channels": list(channels),
            "hps": dict(values),
            "user_args": words,
            "framework_params": dict(reserved),
            "training_env": training_env,
        }
        | {f"channel_{name}": path for name, path in channels.items()}
        | {f"hp_{name}": value for name, value in values.items()}
    )


def _text(value: Any) -> str:
    """As the toolkit has it: text as it is, everything else as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text.replace("\0", "")


def _can_be_set(name: str) -> bool:
    return not {"=", "\0"} & set(name)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
