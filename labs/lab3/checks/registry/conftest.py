"""Exercise registry: its runbook, read and played."""

from grader.modules.runbook import one_engine

from .scenario import DIGEST, FILE, Scenario

book, scenario = one_engine.fixtures(
    FILE, registry="registry_port", names=[DIGEST], scenario=Scenario
)
