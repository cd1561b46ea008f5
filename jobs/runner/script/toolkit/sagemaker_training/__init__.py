"""What scripts import of the service's training toolkit: the environment they run in. Our own, for scripts only.

Lies on a script's path where no package of its own has that name; never imported by the platform.
"""
