"""Between the new-job form of a script and the services of sources: takes files in, stores what was typed.

Called by the form's view, before it creates the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.utils.translation import gettext as _

from jobs.models import Source
from jobs.selectors.datasets import dataset_version_get
from jobs.selectors.sources import source_files
from jobs.services.sources import (
    source_create,
    source_create_from_archive,
    source_create_from_uri,
    source_edit,
)
from mlplatform.core.errors import InvalidRequest, NotFound, TooLarge
from mlplatform.core.people.access import Actor
from mlplatform.web.forms.scripts import ScriptForm
from mlplatform.web.forms.training_jobs import TrainingJobForm
from mlplatform.web.script_examples import EXAMPLES, Example, example_files
from mlplatform.web.script_files import changes_of, entry_point_of

ARCHIVES = (".tar.gz", ".tgz")
READ_BYTES_MAX = 64 * 1024**2
"""Files that are sent one by one are read into memory; more are sent as an archive."""


def source_take(request: HttpRequest, actor: Actor, script: ScriptForm) -> None:
    """Fills the form with the files that were sent or read from an address.

    Raises:
        InvalidRequest: nothing was sent, or the service refuses it.
        TooLarge: more than can be taken in one by one.
    """
    stored = _stored(request, actor, script)
    files = [one["path"] for one in stored.files]
    source_clear(script)
    script.source, script.paths = stored.uid, files
    script.entry_point = entry_point_of(files, script.entry_point)


def source_clear(script: ScriptForm) -> None:
    """No files, to begin again."""
    script.source = script.uri = ""
    script.files, script.removed, script.paths, script.edited = {}, [], [], False


def example_take(actor: Actor, form: TrainingJobForm, name: str) -> None:
    """Fills the form with an example: its files and, where nothing is given yet, what its script expects, with the
    label of the dataset to train on.

    Raises InvalidRequest for a name that is none.
    """
    files = example_files(name)
    if form.script is None or not files:
        raise InvalidRequest.for_field(
            "script.example", _("%(name)s is no example") % {"name": repr(name[:40])}
        )
    example, script = EXAMPLES[name], form.script
    source_clear(script)
    script.framework, script.entry_point = example.framework, entry_point_of(files)
    script.files, script.paths, script.edited = dict(files), list(files), True
    form.hyperparameters = form.hyperparameters or {**example.hyperparameters, **_label(actor, form, example)}
    form.metric_definitions = form.metric_definitions or [
        {"name": metric, "regex": regex} for metric, regex in example.metric_definitions.items()
    ]


def _label(actor: Actor, form: TrainingJobForm, example: Example) -> dict[str, str]:
    """The hyperparameter that names the label of the dataset; nothing where that has none."""
    chosen = form.channels.get("train", {}).get("dataset")
    with suppress(NotFound):
        name = dataset_version_get(actor=actor, reference=chosen).label_name if chosen else None
        return {example.label: name} if name else {}
    return {}


def source_begin_file(script: ScriptForm) -> None:
    """An empty file of the name that was typed. Raises InvalidRequest where there is one."""
    if script.added in script.files:
        raise InvalidRequest.for_field(
            "script.added", _("%(path)s is there already") % {"path": repr(script.added)}
        )
    if script.added:
        script.files[script.added] = ""
        script.removed = [path for path in script.removed if path != script.added]
    script.added = ""


def source_save(actor: Actor, script: ScriptForm) -> None:
    """Stores what was typed; the form then has the uid of a source with it.

    Raises InvalidRequest where there is no file at all, or a path or text is refused.
    """
    if script.source:
        changes = changes_of(source_files(actor=actor, uid=script.source), script.files, script.removed)
        if changes:
            script.source = source_edit(actor=actor, uid=script.source, changes=changes).uid
    elif script.files:
        typed: Mapping[str, str] = script.files
        files = {path: text.encode("utf-8", "replace") for path, text in typed.items()}
        script.source = source_create(actor=actor, files=files).uid
    else:
        raise InvalidRequest.for_field(
            "script.source", _("is missing; send files, name an s3:// address or start from an example")
        )
    script.files, script.removed, script.edited = {}, [], False


def stored_files(actor: Actor, script: ScriptForm) -> dict[str, bytes]:
    """The files of the form's source. Raises NotFound where it is none of the project's."""
    return dict(source_files(actor=actor, uid=script.source)) if script.source else {}


def _stored(request: HttpRequest, actor: Actor, script: ScriptForm) -> Source:
    sent = [one for one in request.FILES.getlist("files") if one.name]
    if not sent:
        if script.uri:
            return source_create_from_uri(actor=actor, uri=script.uri)
        raise InvalidRequest.for_field("script.source", _("Choose a file, a folder or an address first"))
    if len(sent) == 1 and str(sent[0].name).lower().endswith(ARCHIVES):
        return source_create_from_archive(actor=actor, archive=_on_disk(sent[0]))
    if sum(one.size or 0 for one in sent) > READ_BYTES_MAX:
        raise TooLarge(
            _("The files have more than %(limit)d MiB; pack them as .tar.gz and send that")
            % {"limit": READ_BYTES_MAX // 1024**2}
        )
    # Django gives a file's name without its folders, so that a script sends the paths beside them.
    paths = request.POST.getlist("paths")
    named = paths if len(paths) == len(sent) else [str(one.name) for one in sent]
    files = {path: one.read() for path, one in zip(named, sent, strict=True)}
    if not (script.source or script.files):
        return source_create(actor=actor, files=files)
    source_save(actor, script)  # files that are sent are added to those that are there
    return source_edit(actor=actor, uid=script.source, changes=files)


def _on_disk(sent: UploadedFile[Any]) -> Path:
    """Where the upload lies: the settings have uploads written to files, whatever their size."""
    path: str = sent.temporary_file_path()  # type: ignore[attr-defined]
    return Path(path)
