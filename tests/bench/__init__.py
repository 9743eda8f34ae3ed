"""What the kit costs: `nox -s bench`. Each module has some parts; docs/performance.md says more.

Every figure is a ratio or a time of this run on this machine; nothing here is a test.
"""
