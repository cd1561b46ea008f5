"""Health, instance types and workers."""

from __future__ import annotations

from rest_framework import serializers

from mlplatform.api.fields import Answer, StrictSerializer


class Component(Answer):
    status = serializers.ChoiceField(choices=["ok", "degraded", "failing", "away"])
    detail = serializers.CharField(allow_blank=True)
    latency_ms = serializers.FloatField(allow_null=True)


class Components(Answer):
    database = Component()
    broker = Component()
    store = Component()
    workers = Component()
    hosts = Component()


class Health(Answer):
    status = serializers.ChoiceField(choices=["ok", "degraded", "failing"])
    components = Components()


class Finding(Answer):
    check = serializers.CharField(help_text="Name of the check; never changes.")
    title = serializers.CharField()
    level = serializers.ChoiceField(choices=["failed", "warning", "ok"])
    summary = serializers.CharField(help_text="What is, with its figures, in the client's language.")
    remedy = serializers.CharField(allow_blank=True, help_text="What to do about it; empty where nothing is.")


class DoctorReport(Answer):
    level = serializers.ChoiceField(
        choices=["failed", "warning", "ok"], help_text="The worst of all findings."
    )
    checked_at = serializers.DateTimeField()
    took_s = serializers.FloatField()
    version = serializers.CharField()
    findings = Finding(many=True)


class InstanceTypeQuery(StrictSerializer):
    project = serializers.CharField(
        required=False, max_length=63, help_text="Whose `in_use`; a key's own project by default."
    )


class ServedBy(Answer):
    by_worker = serializers.BooleanField(help_text="A living worker trains on it.")
    by_host = serializers.BooleanField(help_text="A living host serves models on it.")


class InstanceType(Answer):
    name = serializers.CharField()
    queue = serializers.CharField()
    vcpus = serializers.IntegerField()
    memory_mb = serializers.IntegerField()
    gpus = serializers.IntegerField()
    price_per_hour = serializers.FloatField(help_text="In the currency of the price sheet.")
    limit = serializers.IntegerField(help_text="How many a project may use at once.")
    in_use = serializers.IntegerField(allow_null=True, help_text="null without a project.")
    served = ServedBy()


class Worker(Answer):
    kind = serializers.ChoiceField(choices=["worker", "host", "gateway", "scheduler"])
    name = serializers.CharField()
    alive = serializers.BooleanField()
    queues = serializers.ListField(child=serializers.CharField())
    hostname = serializers.CharField()
    pid = serializers.IntegerField()
    version = serializers.CharField()
    concurrency = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    seen_at = serializers.DateTimeField()
