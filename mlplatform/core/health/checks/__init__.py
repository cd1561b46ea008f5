"""What the doctor looks at on the floor: disks, database, broker, store, clock, processes, settings.

Importing this package registers the checks, in the order in which they are shown; the floor's AppConfig does. Each room
has its own in `<room>/doctor.py`.
"""

from __future__ import annotations

from importlib import import_module

for _name in ("disk", "database", "broker", "store", "clock", "nodes", "keeping", "exposure"):
    import_module(f"{__name__}.{_name}")
