"""Addresses of datasets, below `/projects/<project>/datasets/`. No name begins with `+`."""

from __future__ import annotations

from django.urls import path

from mlplatform.web.views import dataset_forms, dataset_names, datasets

urlpatterns = [
    path("", datasets.dataset_list_page, name="dataset-list"),
    path("+new/", dataset_forms.dataset_new, name="dataset-new"),
    path("+name/", dataset_names.dataset_name, name="dataset-name"),
    path("<str:name>/", datasets.dataset_detail, name="dataset-detail"),
    path("<str:name>/download/", datasets.dataset_download_file, name="dataset-download"),
    path("<str:name>/versions/+new/", dataset_forms.dataset_version_new, name="dataset-version-new"),
    path("<str:name>/label/", dataset_forms.dataset_label, name="dataset-label"),
    path("<str:name>/split/", dataset_forms.dataset_split_page, name="dataset-split"),
    path("<str:name>/delete/", dataset_forms.dataset_delete_page, name="dataset-delete"),
]
