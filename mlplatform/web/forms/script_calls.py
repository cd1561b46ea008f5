"""A script's job as curl commands: its files are sent first, the job names what they are stored as."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mlplatform.web.forms.scripts import ScriptForm

FILES_SHOWN: Final = 12
_PLACE: Final = "SOURCE-OF-THE-JOB"


def script_calls(body: Mapping[str, Any], script: ScriptForm, *, base_url: str, project: str) -> str:
    """One call where the files are stored as they are shown, else two: the upload and the job of it."""
    if script.source and not script.edited:
        return job_call(body, base_url=base_url, project=project)
    unsent = {**body, "script": {**body["script"], "source": _PLACE}}
    return (
        upload_call(script.paths or [script.entry_point or "train.py"], base_url=base_url, project=project)
        + "\n\n"
        + job_call(unsent, base_url=base_url, project=project).replace(_PLACE, "'\"$SOURCE\"'")
    )


def upload_call(paths: Iterable[str], *, base_url: str, project: str) -> str:
    """Stores the files of a folder and keeps the uid of the source in $SOURCE."""
    named = list(paths)
    if len(named) > FILES_SHOWN:
        before = "tar -czf /tmp/sourcedir.tar.gz -C . .\n"
        parts = ["-F archive=@/tmp/sourcedir.tar.gz"]
    else:
        before, parts = "", [f"-F {shlex.quote(_part(path))}" for path in named]
    files = " \\\n".join(f"  {part}" for part in parts)
    return (
        f"{before}SOURCE=$(curl -X POST {base_url}/api/v1/projects/{project}/sources/ \\\n"
        '  -H "Authorization: Bearer $TOKEN" \\\n'
        f"{files} | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"uid\"])')"
    )


def job_call(body: Mapping[str, Any], *, base_url: str, project: str) -> str:
    text = json.dumps(body, indent=2, ensure_ascii=False)
    return (
        f"curl -X POST {base_url}/api/v1/projects/{project}/training-jobs/ \\\n"
        '  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(text)}"
    )


def _part(path: str) -> str:
    """curl sends the name without its folders unless it is told."""
    return f"files=@{path};filename={path}" if "/" in path else f"files=@{path}"
