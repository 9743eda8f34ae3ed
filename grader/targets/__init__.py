"""Where a submission runs: targets give nodes, and checks ask nodes.

grader/nodes says what every node can do; each provider says how its nodes are reached.
"""
