"""The processes of a container, read off what the node's ps says."""

from __future__ import annotations

from grader.modules.inside import Process, processes_of

TABLE = """\
4026531836       1       0 Ss       0 dockerd --rootless
4026531836     400       1 Sl       0 containerd-shim-runc-v2 -namespace moby
4026532500     410     400 Ss      33 nginx: master process nginx -g daemon off;
4026532500     411     410 S       33 nginx: worker process
4026532500     412     410 Z       33 [php-fpm8.2] <defunct>
4026532777     500     400 Ss       0 sleep 600
"""
NGINX = [
    Process(410, 33, "nginx: master process nginx -g daemon off;"),
    Process(411, 33, "nginx: worker process"),
]


def test_those_that_live_in_the_first_ones_namespace_are_the_containers() -> None:
    assert processes_of(TABLE, 410) == NGINX
    assert [p.program for p in NGINX] == ["nginx", "nginx"]
    assert processes_of(TABLE, 500) == [Process(500, 0, "sleep 600")]


def test_a_container_that_is_gone_has_none() -> None:
    assert processes_of(TABLE, 499) == []
    assert processes_of("         -     410     400 Ss 0 nginx", 410) == []


def test_the_runtime_that_starts_a_health_check_is_not_the_containers() -> None:
    probe = "4026532500     450     449 Ssl      0 runc init\n"
    runtime = "4026531836     449     400 Sl       0 runc exec 1234\n"
    assert processes_of(TABLE + runtime + probe, 410) == NGINX
    assert processes_of(TABLE + probe, 410) == NGINX, "its parent has ended meanwhile"


def test_what_a_submission_starts_under_the_runtimes_name_counts() -> None:
    disguised = TABLE + "4026532500     450     411 S        0 runc init\n"
    assert Process(450, 0, "runc init") in processes_of(disguised, 410)
    first = "4026532500     410     400 Ss       0 /usr/sbin/runc init\n"
    assert processes_of(first, 410) == [Process(410, 0, "/usr/sbin/runc init")]


def test_a_probe_that_the_image_runs_as_root_counts() -> None:
    probe = "4026532500     450     400 Ss       0 /bin/sh -c curl -fsS localhost\n"
    assert Process(450, 0, "/bin/sh -c curl -fsS localhost") in processes_of(TABLE + probe, 410)
