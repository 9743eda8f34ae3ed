"""What a build told, read step by step."""

from __future__ import annotations

from grader.modules.buildlog import read

TOLD = """\
#0 building with "default" instance using docker driver

#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 512B done
#1 DONE 0.0s

#4 [build 1/4] FROM docker.io/library/debian:bookworm
#4 CACHED

#5 [build 2/4] RUN apt-get update && apt-get install -y gcc
#5 CACHED

#6 [build 3/4] COPY main.c .
#6 DONE 0.1s

#7 [build 4/4] RUN ./prepare.sh
#7 0.412 Get:1 http://mirror.example/debian bookworm/main amd64 gcc amd64 4:12.2.0-3 [5216 B]
#8 [stage-1 2/2] RUN echo Setting up house
#7 1.950 Setting up gcc (4:12.2.0-3) ...
#8 0.200 Setting up house
#7 DONE 2.1s
#8 DONE 0.3s
"""


def test_steps_have_their_names_and_what_came_from_the_cache() -> None:
    steps = {step.name.partition("]")[0] + "]": step for step in read(TOLD)}
    assert [name for name, step in steps.items() if step.cached] == ["[build 1/4]", "[build 2/4]"]
    assert steps["[build 4/4]"].said[-1] == "Setting up gcc (4:12.2.0-3) ..."


def test_a_step_that_fetches_or_unpacks_packages_installs_whatever_it_is_called() -> None:
    assert [step.name for step in read(TOLD) if step.installs] == ["[build 4/4] RUN ./prepare.sh"]


def test_an_install_step_that_says_nothing_is_known_by_its_command() -> None:
    told = "#5 [2/4] RUN apt-get -qq install gcc > /dev/null\n#5 DONE 9.0s\n"
    assert [step.installs for step in read(told)] == [True]


def test_the_end_of_a_log_whose_beginning_is_cut_off_tells_of_an_install() -> None:
    (step,) = read("#5 7.1 Unpacking gcc (4:12.2.0-3) ...\n#5 DONE 9.0s\n")
    assert step.installs
    assert not step.name
