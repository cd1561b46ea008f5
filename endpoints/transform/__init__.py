"""Batch transform in a process of its own: records out of objects, through a model server, lines into results.

Django-free. Exec'ed by a worker (`python -m endpoints.transform`), which also starts the model server. Filters and
forms are pure, and used by the checks and the preview of a request too.
"""
