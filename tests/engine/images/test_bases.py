"""debian, python and the alpine stand-in: what student Dockerfiles build on."""

from __future__ import annotations

import pytest

from grader.engine.images import catalogue
from tests.engine.images.box import Box

pytestmark = pytest.mark.engine


@pytest.mark.smoke
def test_every_name_of_the_catalogue_is_there_and_nothing_else(box: Box) -> None:
    there = {tag for image in box.docker.images.list() for tag in image.tags}
    there = {tag for tag in there if not tag.startswith("test/")}
    assert there == set(catalogue.load().tags)


def test_images_that_nothing_was_run_from_can_be_read_as_for_a_push(box: Box) -> None:
    tags = sorted(catalogue.load().tags)
    saved = box.node.run(["sh", "-c", 'docker save "$@" | wc -c', "save", *tags], timeout=300)
    assert int(saved.out) > 500_000_000, saved.out


@pytest.mark.smoke
def test_apt_get_install_works_in_an_unmodified_dockerfile(box: Box) -> None:
    image = box.build(
        {
            "Dockerfile": "FROM debian:bookworm\n"
            "RUN apt-get update && apt-get install -y --no-install-recommends nginx-light\n"
        }
    )
    assert box.output(image, ["nginx", "-v"]).startswith("nginx version")
    kept = "find /var/cache/apt -name '*.deb' -o -name '*.bin'"
    assert box.output(image, ["sh", "-c", kept]) == ""


def test_images_carry_no_package_lists_or_caches(box: Box) -> None:
    places = "/var/lib/apt/lists /var/cache/apt /root/.cache"
    script = f"find {places} -type f ! -name lock 2>/dev/null || true"
    for tag in ("debian:bookworm", "nginx:1.22", "mariadb:10.11", "wordpress:6", "python:3.11"):
        assert box.output(tag, ["-c", script], entrypoint=["sh"]) == "", tag


@pytest.mark.smoke
def test_pip_install_works_in_an_unmodified_dockerfile(box: Box) -> None:
    image = box.build(
        {
            "Dockerfile": "FROM python:3.11-slim\nWORKDIR /app\nCOPY requirements.txt .\n"
            "RUN pip install --no-cache-dir -r requirements.txt\nCMD python app.py\n",
            "requirements.txt": "itsdangerous\n",
        }
    )
    assert "ok" in box.output(image, ["python3", "-c", "import itsdangerous; print('ok')"])


def test_python_is_3_11_under_all_its_names(box: Box) -> None:
    script = "python -V; python3 -V; pip --version; python3 -m venv /tmp/v && /tmp/v/bin/python -V"
    lines = box.output("python:3", ["sh", "-c", script]).splitlines()
    assert ["3.11" in line for line in lines] == [True] * 4


def test_debian_is_slim_and_has_what_its_own_image_has(box: Box) -> None:
    assert box.output("debian", ["cat", "/etc/debian_version"]).startswith("12.")
    assert box.output("debian", ["bash", "-c", "echo $0"]) == "bash\n"
    assert box.docker.images.get("debian:12").attrs["Size"] < 150_000_000
    assert box.output("debian", ["sh", "-c", "/usr/sbin/policy-rc.d; echo $?"]) == "101\n"


def test_the_alpine_stand_in_is_small_and_has_the_usual_tools(box: Box) -> None:
    assert box.docker.images.get("alpine").attrs["Size"] < 8_000_000
    script = "id -u; hostname; ping -c 1 127.0.0.1 | grep -c 'bytes from'; ls /bin/sh"
    assert box.output("alpine:3", ["sh", "-c", script], hostname="quay") == "0\nquay\n1\n/bin/sh\n"


def test_the_alpine_stand_in_fetches_pages_by_name_and_address(box: Box) -> None:
    network = box.docker.networks.create("small")
    try:
        with box.running("nginx", name="web", network="small") as web:
            for where in ("web", web.out("hostname", "-i")):
                for limit in ([], ["-T", "5"], ["-T5"]):
                    page = box.output(
                        "alpine",
                        ["wget", "-q", *limit, "-O", "-", f"http://{where}/"],
                        network="small",
                    )
                    assert "Welcome to nginx!" in page
    finally:
        network.remove()


def test_the_alpine_stand_in_says_that_it_has_no_packages(box: Box) -> None:
    said = box.output("alpine", ["sh", "-c", "apk add curl || echo code $?"])
    assert "no packages" in said
    assert "code 1" in said
