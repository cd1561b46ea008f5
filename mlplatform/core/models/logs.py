"""Logs as chunks: a stream per job attempt or replica, a row per batch of lines and never a row per line."""

from __future__ import annotations

from django.db import models


class LogStream(models.Model):
    """All that one process printed. `n_bytes` is the next offset, `n_lines` counts ended lines.

    `removed_at` is when its lines were removed because they had been kept long enough; the counts stay.
    """

    uid = models.CharField(max_length=26, unique=True)
    n_bytes = models.BigIntegerField(default=0)
    n_lines = models.BigIntegerField(default=0)
    ended = models.BooleanField(default=False)
    truncated = models.BooleanField(default=False)
    removed_at = models.DateTimeField(null=True, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.uid


class LogChunk(models.Model):
    """Bytes `offset` to `offset + n_bytes` of a stream: whole lines of UTF-8, each ended by a newline.

    `line_times` has a little-endian uint32 per line: milliseconds after `first_at` at which the line was read.
    """

    stream = models.ForeignKey(LogStream, on_delete=models.CASCADE, related_name="chunks")
    offset = models.BigIntegerField()
    n_bytes = models.IntegerField()
    first_line = models.BigIntegerField()
    n_lines = models.IntegerField()
    first_at = models.DateTimeField()
    line_times = models.BinaryField()
    data = models.BinaryField()

    class Meta:
        ordering = ["offset"]
        constraints = [models.UniqueConstraint(fields=["stream", "offset"], name="one_chunk_per_offset")]
        indexes = [models.Index(fields=["stream", "first_line"])]
