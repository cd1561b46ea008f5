"""Data capture on the inference path: what was asked and answered, as JSON Lines in the object store. Django-free.

`rule.py` says what is captured, `record.py` makes a line of it, `spool.py` appends it to a file of this machine,
`recorder.py` does both for the gateway and never fails, `uploader.py` takes closed files to the store. What writes rows
is `endpoints.services.captured_files`.
"""
