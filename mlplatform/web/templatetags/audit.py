"""Template filters of the audit log."""

from __future__ import annotations

from django import template

from mlplatform.web.audit_words import action_word, face_word

register = template.Library()
register.filter("action_word", action_word)
register.filter("face_word", face_word)
