"""Hostile submissions by kind, and the run that grades all of them in real sandboxes.

    nox -s hostile -- [CASE …] [--kind KIND] [--jobs N]

A case is an entry of a file in cases/KIND.yaml (see cases.py): what it tries, and what must happen.
Whole classes of them are graded by `python -m grader grade`, beside canaries (see canaries.py)
that tell when something reached what is not the submission's. The folders compose, stack and
allowed hold single files for tests/unit/hostile/test_corpus.py, which only reads them.
"""
