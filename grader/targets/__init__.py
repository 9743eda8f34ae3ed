"""Where a submission runs: targets give nodes, and checks ask nodes.

`node.py` says what every node can do; each target module (sandbox, later local,
vagrant and hosts) says how its nodes are reached.
"""
