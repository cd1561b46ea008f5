"""Every route of the REST face, below `/api/v1/`. Paths end in a slash."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path, register_converter

from mlplatform.api.views import (
    access,
    algorithms,
    async_inference,
    audit,
    comparisons,
    costs,
    data_capture,
    dataset_content,
    datasets,
    document,
    endpoints,
    evaluation_output,
    evaluations,
    experiments,
    instances,
    invocations,
    models,
    neighbours,
    platform,
    replica_runs,
    sources,
    tables,
    training,
    training_output,
    transforms,
    tuning,
    uploads,
)
from mlplatform.core.names import NAME_MAX_LENGTH


class NameConverter:
    """Characters of a name; whether it is one, and whose, the selectors say."""

    regex = f"[a-zA-Z0-9-]{{1,{NAME_MAX_LENGTH}}}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(NameConverter, "name")

app_name = "api"
_in_project: list[URLPattern | URLResolver] = [
    path("", access.ProjectView.as_view(), name="project-detail"),
    path("members/", access.MemberListView.as_view(), name="member-list"),
    path("members/<str:username>/", access.MemberView.as_view(), name="member-detail"),
    path("access-keys/", access.AccessKeyListView.as_view(), name="access-key-list"),
    path("access-keys/<name:key_id>/", access.AccessKeyView.as_view(), name="access-key-detail"),
    path("audit-events/", audit.AuditEventListView.as_view(), name="audit-event-list"),
    path("datasets/", datasets.DatasetListView.as_view(), name="dataset-list"),
    path("datasets/<name:name>/", datasets.DatasetView.as_view(), name="dataset-detail"),
    path("datasets/<name:name>/split/", datasets.DatasetSplitView.as_view(), name="dataset-split"),
    path(
        "datasets/<name:name>/versions/",
        datasets.DatasetVersionListView.as_view(),
        name="dataset-version-list",
    ),
    path(
        "datasets/<name:name>/preview/", dataset_content.DatasetPreviewView.as_view(), name="dataset-preview"
    ),
    path(
        "datasets/<name:name>/profile/", dataset_content.DatasetProfileView.as_view(), name="dataset-profile"
    ),
    path(
        "datasets/<name:name>/download/",
        dataset_content.DatasetDownloadView.as_view(),
        name="dataset-download",
    ),
    path("uploads/", uploads.UploadListView.as_view(), name="upload-list"),
    path("uploads/<name:uid>/", uploads.UploadView.as_view(), name="upload-detail"),
    path("sources/", sources.SourceListView.as_view(), name="source-list"),
    path("sources/<name:uid>/", sources.SourceView.as_view(), name="source-detail"),
    path("sources/<name:uid>/download/", sources.SourceDownloadView.as_view(), name="source-download"),
    path("sources/<name:uid>/files/<path:path>", sources.SourceFileView.as_view(), name="source-file"),
    path("metric-definitions/test/", training_output.MetricDefinitionTestView.as_view(), name="metric-test"),
    path("training-jobs/", training.TrainingJobListView.as_view(), name="training-job-list"),
    path("training-jobs/<name:name>/", training.TrainingJobView.as_view(), name="training-job-detail"),
    path("training-jobs/<name:name>/stop/", training.TrainingJobStopView.as_view(), name="training-job-stop"),
    path(
        "training-jobs/<name:name>/logs/",
        training_output.TrainingJobLogView.as_view(),
        name="training-job-logs",
    ),
    path(
        "training-jobs/<name:name>/logs/stream/",
        training_output.TrainingJobLogStreamView.as_view(),
        name="training-job-log-stream",
    ),
    path(
        "training-jobs/<name:name>/metrics/",
        training_output.TrainingJobMetricsView.as_view(),
        name="training-job-metrics",
    ),
    path(
        "training-jobs/<name:name>/artifact/",
        training.TrainingJobArtifactView.as_view(),
        name="training-job-artifact",
    ),
    path(
        "training-jobs/<name:name>/output/",
        training.TrainingJobOutputView.as_view(),
        name="training-job-output",
    ),
    path(
        "training-jobs/<name:name>/clone-request/",
        training.TrainingJobCloneRequestView.as_view(),
        name="training-job-clone-request",
    ),
    path("tuning-jobs/", tuning.TuningJobListView.as_view(), name="tuning-job-list"),
    path("tuning-jobs/<name:name>/", tuning.TuningJobView.as_view(), name="tuning-job-detail"),
    path("tuning-jobs/<name:name>/stop/", tuning.TuningJobStopView.as_view(), name="tuning-job-stop"),
    path("tuning-jobs/<name:name>/extend/", tuning.TuningJobExtendView.as_view(), name="tuning-job-extend"),
    path("tuning-jobs/<name:name>/trials/", tuning.TuningTrialListView.as_view(), name="tuning-trial-list"),
    path(
        "tuning-jobs/<name:name>/importance/", tuning.TuningImportanceView.as_view(), name="tuning-importance"
    ),
    path(
        "tuning-jobs/<name:name>/clone-request/",
        tuning.TuningJobCloneRequestView.as_view(),
        name="tuning-job-clone-request",
    ),
    path("models/", models.ModelListView.as_view(), name="model-list"),
    path("models/<name:name>/", models.ModelView.as_view(), name="model-detail"),
    path("endpoints/", endpoints.EndpointListView.as_view(), name="endpoint-list"),
    path("endpoints/<name:name>/", endpoints.EndpointView.as_view(), name="endpoint-detail"),
    path(
        "endpoints/<name:name>/data-capture/",
        data_capture.DataCaptureView.as_view(),
        name="endpoint-data-capture",
    ),
    path(
        "endpoints/<name:name>/data-capture/files/",
        data_capture.CapturedFileListView.as_view(),
        name="captured-file-list",
    ),
    path(
        "endpoints/<name:name>/data-capture/files/<name:uid>/",
        data_capture.CapturedFileView.as_view(),
        name="captured-file-detail",
    ),
    path("endpoints/<name:name>/logs/", endpoints.EndpointLogView.as_view(), name="endpoint-logs"),
    path(
        "endpoints/<name:name>/invocations/",
        invocations.InvocationView.as_view(),
        name="endpoint-invocations",
    ),
    path(
        "endpoints/<name:name>/metrics/", invocations.EndpointMetricsView.as_view(), name="endpoint-metrics"
    ),
    path(
        "endpoints/<name:name>/replica-runs/",
        replica_runs.ReplicaRunListView.as_view(),
        name="replica-run-list",
    ),
    path(
        "endpoints/<name:name>/neighbours/",
        neighbours.EndpointNeighboursView.as_view(),
        name="endpoint-neighbours",
    ),
    path(
        "endpoints/<name:name>/async-invocations/",
        async_inference.AsyncInvocationListView.as_view(),
        name="async-invocation-list",
    ),
    path(
        "endpoints/<name:name>/async-invocations/<str:inference_id>/",
        async_inference.AsyncInvocationView.as_view(),
        name="async-invocation-detail",
    ),
    path(
        "endpoints/<name:name>/async-invocations/<str:inference_id>/output/",
        async_inference.AsyncInvocationOutputView.as_view(),
        name="async-invocation-output",
    ),
    path("endpoints/<name:name>/table-runs/", tables.TableRunListView.as_view(), name="table-run-list"),
    path(
        "endpoints/<name:name>/table-runs/<name:uid>/", tables.TableRunView.as_view(), name="table-run-detail"
    ),
    path(
        "endpoints/<name:name>/table-runs/<name:uid>/rows/",
        tables.TableRunRowsView.as_view(),
        name="table-run-rows",
    ),
    path("costs/", costs.CostsView.as_view(), name="costs"),
    path("costs/together/", costs.TogetherView.as_view(), name="costs-together"),
    path("comparisons/", comparisons.ComparisonView.as_view(), name="comparison"),
    path("evaluations/", evaluations.EvaluationListView.as_view(), name="evaluation-list"),
    path("evaluations/<name:name>/", evaluations.EvaluationView.as_view(), name="evaluation-detail"),
    path("evaluations/<name:name>/stop/", evaluations.EvaluationStopView.as_view(), name="evaluation-stop"),
    path(
        "evaluations/<name:name>/rows/",
        evaluation_output.EvaluationRowsView.as_view(),
        name="evaluation-rows",
    ),
    path(
        "evaluations/<name:name>/tables/<name:table>/",
        evaluation_output.EvaluationTableView.as_view(),
        name="evaluation-table",
    ),
    path("transform-jobs/", transforms.TransformJobListView.as_view(), name="transform-job-list"),
    path("transform-jobs/<name:name>/", transforms.TransformJobView.as_view(), name="transform-job-detail"),
    path(
        "transform-jobs/<name:name>/stop/",
        transforms.TransformJobStopView.as_view(),
        name="transform-job-stop",
    ),
    path(
        "transform-jobs/<name:name>/clone-request/",
        transforms.TransformJobCloneRequestView.as_view(),
        name="transform-job-clone-request",
    ),
    path(
        "transform-jobs/<name:name>/result/",
        transforms.TransformJobResultView.as_view(),
        name="transform-job-result",
    ),
    path(
        "transform-jobs/<name:name>/logs/",
        transforms.TransformJobLogView.as_view(),
        name="transform-job-logs",
    ),
    path(
        "transform-jobs/<name:name>/logs/stream/",
        transforms.TransformJobLogStreamView.as_view(),
        name="transform-job-log-stream",
    ),
    path("experiments/", experiments.ExperimentListView.as_view(), name="experiment-list"),
    path("experiments/<name:name>/", experiments.ExperimentView.as_view(), name="experiment-detail"),
    path("experiments/<name:name>/stop/", experiments.ExperimentStopView.as_view(), name="experiment-stop"),
    path(
        "experiments/<name:name>/resume/",
        experiments.ExperimentResumeView.as_view(),
        name="experiment-resume",
    ),
    path(
        "experiments/<name:name>/tables/<name:table>/",
        experiments.ExperimentTableView.as_view(),
        name="experiment-table",
    ),
]
urlpatterns: list[URLPattern | URLResolver] = [
    path("health/", platform.HealthView.as_view(), name="health"),
    path("doctor/", platform.DoctorView.as_view(), name="doctor"),
    path("schema/", document.SchemaView.as_view(), name="schema"),
    path("docs/", document.DocsView.as_view(), name="docs"),
    path("price-sheet/", costs.PriceSheetView.as_view(), name="price-sheet"),
    path("instance-types/", instances.InstanceTypeListView.as_view(), name="instance-type-list"),
    path(
        "experiment-presets/",
        experiments.ExperimentPresetListView.as_view(),
        name="experiment-preset-list",
    ),
    path("workers/", platform.WorkerListView.as_view(), name="worker-list"),
    path("algorithms/", algorithms.AlgorithmListView.as_view(), name="algorithm-list"),
    path("algorithms/<name:name>/", algorithms.AlgorithmView.as_view(), name="algorithm-detail"),
    path("projects/", access.ProjectListView.as_view(), name="project-list"),
    path("projects/<name:project>/", include(_in_project)),
    re_path(r"^[\s\S]*\Z", document.UnknownAddressView.as_view(), name="unknown"),
]
