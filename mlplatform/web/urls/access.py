"""Addresses of what runs, who may do what and who did what. Below `/projects/<project>/`."""

from __future__ import annotations

from django.urls import path

from mlplatform.web.views import access_keys, audit, members, workers

urlpatterns = [
    path("workers/", workers.worker_list, name="worker-list"),
    path("access-keys/", access_keys.access_key_list_page, name="access-key-list"),
    path("access-keys/+new/", access_keys.access_key_new, name="access-key-new"),
    path("access-keys/<str:key_id>/revoke/", access_keys.access_key_revoke_page, name="access-key-revoke"),
    path("members/", members.member_list_page, name="member-list"),
    path("audit/", audit.audit_event_list_page, name="audit-event-list"),
    path("audit/download/", audit.audit_event_download, name="audit-event-download"),
    path("members/<str:username>/remove/", members.member_remove_page, name="member-remove"),
]
