"""Tests on real virtual machines: `nox -s vm_tests`.

    python -m tests.vms [pytest arguments]

Builds the box, then goes into namespaces of its own (network, mounts, processes): no packet of
the machines leaves it, nothing of theirs stays, and a libvirt that is there is not touched.
"""
