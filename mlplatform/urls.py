"""Every URL of the web process: admin, REST API, pages."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from mlplatform.api.metrics import metrics_view

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/", include("mlplatform.api.urls")),
    path("metrics", metrics_view),
    path("", include("mlplatform.web.urls")),
]

handler400 = "mlplatform.web.views.problems.bad_request"
handler403 = "mlplatform.web.views.problems.permission_denied"
handler404 = "mlplatform.web.views.problems.not_found"
handler500 = "mlplatform.web.views.problems.server_error"
