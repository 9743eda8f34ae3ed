"""Compose files of strangers: what is read of them, and how what cannot be read is refused."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pytest

from grader.vetting import resolved
from grader.vetting.compose import ComposeFile, read
from grader.vetting.envfile import read as read_env
from grader.vetting.variables import fill_in
from grader.vetting.yamlfile import MAX_BYTES, Refused

GOOD = """\
services:
  web:
    build: .
  redis:
    image: redis:7
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM python:3.11\n")
    return tmp_path


def written(folder: Path, text: str | bytes, name: str = "compose.yaml") -> ComposeFile:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return read(folder, "counter")


def refused(folder: Path, text: str | bytes, name: str = "compose.yaml") -> Refused:
    with pytest.raises(Refused) as caught:
        written(folder, text, name)
    assert caught.value.remedy, "each refusal says what to do"
    return caught.value


# What is read -------------------------------------------------------------------------------


def test_services_images_and_builds_are_read(folder: Path) -> None:
    file = written(folder, GOOD)
    assert file.files == ["compose.yaml"]
    assert list(file.services) == ["web", "redis"]
    assert file.services["redis"].image == "redis:7"
    build = file.services["web"].build
    assert build is not None
    assert str(build.dockerfile) == "Dockerfile"
    assert file.services["redis"].where("image") == (
        "counter/compose.yaml, line 5, services.redis.image"
    )


@pytest.mark.parametrize(
    "name", ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"]
)
def test_each_of_composes_names_is_found(folder: Path, name: str) -> None:
    assert written(folder, GOOD, name).files == [name]


def test_compose_reads_the_first_of_two_files(folder: Path) -> None:
    (folder / "docker-compose.yml").write_text(GOOD)
    file = written(folder, GOOD)
    assert (file.files, file.ignored) == (["compose.yaml"], ["docker-compose.yml"])


def test_an_override_file_is_read_as_well(folder: Path) -> None:
    (folder / "compose.override.yaml").write_text("services:\n  redis:\n    image: redis:alpine\n")
    file = written(folder, GOOD)
    assert file.files == ["compose.yaml", "compose.override.yaml"]
    assert file.services["redis"].image == "redis:alpine"
    with pytest.raises(Refused) as caught:
        file.refuse_images({"redis:7"})
    assert caught.value.where == "counter/compose.override.yaml, line 3, services.redis.image"


@pytest.mark.parametrize(
    ("base", "override", "args"),
    [
        ("{args: {A: 1}}", "{args: {B: 2}}", {"A": "1", "B": "2"}),
        ("{args: [A=1, B=1]}", "{args: {B: 2}}", {"A": "1", "B": "2"}),
        ("{args: {A: 1}}", "{dockerfile: Other}", {"A": "1"}),
        ("{args: {A: 1}}", ".", {"A": "1"}),
        ("{args: [HERE, GONE]}", "{args: {A: '${HERE}'}}", {"HERE": "x", "A": "x"}),
    ],
)
def test_files_are_merged_to_one_build(
    folder: Path, base: str, override: str, args: dict[str, str]
) -> None:
    (folder / ".env").write_text("HERE=x\n")
    (folder / "Other").write_text("FROM python:3.11\n")
    (folder / "compose.override.yaml").write_text(f"services: {{web: {{build: {override}}}}}\n")
    file = written(folder, f"services: {{web: {{build: {base}}}}}\n")
    build = file.services["web"].build
    assert build is not None
    assert build.args == args
    assert str(build.dockerfile) == ("Other" if "Other" in override else "Dockerfile")


def test_an_override_may_name_the_image_that_is_built(folder: Path) -> None:
    (folder / "compose.override.yaml").write_text("services: {web: {image: 'mine:2'}}\n")
    written(folder, "services: {web: {build: .}}\n").refuse_images(set())


@pytest.mark.parametrize("how", ["!override {image: 'evil:1'}", "!reset {image: 'evil:1'}"])
def test_an_override_that_replaces_a_service_leaves_nothing_of_its_build(
    folder: Path, how: str
) -> None:
    (folder / "compose.override.yaml").write_text(f"services: {{web: {how}}}\n")
    with pytest.raises(Refused, match="evil:1"):
        written(folder, "services: {web: {build: .}}\n").refuse_images(set())


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json_is_read(folder: Path, indent: int | str | None) -> None:
    said = {"services": {"redis": {"image": "redis:7"}}}
    file = written(folder, json.dumps(said, indent=indent), "docker-compose.json")
    assert file.services["redis"].image == "redis:7"


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.encode("utf-16"),
        GOOD.replace("redis:7", "redis:7 \t").encode(),
        GOOD.replace("image: ", "image:\t").encode(),
        ("---\n" + GOOD).encode(),
        ("# Zähler für Käthe\n" + GOOD).encode(),
    ],
    ids=["bom", "crlf", "utf16", "trailing tab", "tab after colon", "marker", "umlauts"],
)
def test_what_editors_and_windows_do_to_files_is_no_error(folder: Path, text: bytes) -> None:
    assert written(folder, text).services["redis"].image == "redis:7"


def test_anchors_and_composes_own_tags_are_read(folder: Path) -> None:
    text = (
        "x-base: &base {image: 'redis:7'}\nservices:\n  a:\n    <<: *base\n    ports: !reset []\n"
    )
    assert written(folder, text).services["a"].image == "redis:7"


def test_variables_come_from_dotenv(folder: Path) -> None:
    (folder / ".env").write_text("# tags\nexport TAG='7'\nNAME=redis # which\nBOTH=${NAME}:7\n")
    variables = read_env(folder, "counter")
    assert variables.own == {"TAG", "NAME", "BOTH"}
    values = variables.values
    assert (values["TAG"], values["NAME"], values["BOTH"]) == ("7", "redis", "redis:7")
    file = written(folder, "services: {a: {image: '${NAME}:${TAG:-latest}'}}")
    assert file.services["a"].image == "redis:7"


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("$A", "1"),
        ("${A}", "1"),
        ("$$A", "$A"),
        ("${B:-2}", "2"),
        ("${B-2}", ""),
        ("${C-2}", "2"),
        ("${C:-$A}", "1"),
        ("${A:+yes}", "yes"),
        ("${B:+yes}", ""),
        ("${C:?missing}", ""),
        ("cost: 5$", "cost: 5$"),
    ],
)
def test_variables_are_filled_in_as_compose_does(text: str, filled: str) -> None:
    assert fill_in(text, {"A": "1", "B": ""}) == filled


# Images -------------------------------------------------------------------------------------


@pytest.mark.parametrize("image", ["redis:7", "docker.io/library/redis:7", "library/redis:7"])
def test_an_image_of_the_lab_is_taken_by_each_of_its_names(folder: Path, image: str) -> None:
    written(folder, GOOD.replace("redis:7", image)).refuse_images({"redis:7"})


@pytest.mark.parametrize("image", ["redis", "redis:6", "evil/redis:7", "ghcr.io/redis:7"])
def test_any_other_image_is_refused_with_those_there_are(folder: Path, image: str) -> None:
    with pytest.raises(Refused) as caught:
        written(folder, GOOD.replace("redis:7", image)).refuse_images({"redis:7", "alpine:3"})
    assert caught.value.where == "counter/compose.yaml, line 5, services.redis.image"
    assert "redis:7" in str(caught.value.remedy)


def test_an_image_that_the_file_builds_itself_is_taken(folder: Path) -> None:
    text = "services:\n  a: {build: ., image: mine}\n  b: {image: mine}\n"
    written(folder, text).refuse_images(set())


# What is refused ----------------------------------------------------------------------------


def test_a_tab_is_named_with_its_line(folder: Path) -> None:
    error = refused(folder, "services:\n\tweb:\n\t\tbuild: .\n")
    assert error.where == "counter/compose.yaml, line 2"
    assert "tab" in error.what
    assert "spaces" in str(error.remedy)


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("services:\n  web\n    image: redis:7\n", 3, ":"),
        ("services:\n  web:\n    image: redis:7\n   ports: []\n", 4, "indentation"),
        ("services:\n  web:\n    image: 'redis:7\n", 3, "quote"),
        ("services:\n  web:\n    build: .\n    build: .\n", 4, "twice"),
        ("services:\n  web: *no one\n", 2, "*"),
        ("services: !!python/object/apply:os.system ['true']\n", 1, "tag"),
        ("services: {}\n---\nservices: {}\n", 2, "two documents"),
    ],
)
def test_a_yaml_error_names_line_and_remedy(folder: Path, text: str, line: int, word: str) -> None:
    error = refused(folder, text)
    assert error.where == f"counter/compose.yaml, line {line}"
    assert word in error.what


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", ""),
        ("just words\n", ""),
        ("- a\n- b\n", ""),
        ("42\n", ""),
        ("web:\n  image: redis:7\n", ""),
        ("services:\n", "services"),
        ("services: [web, redis]\n", "services"),
        ("services: redis\n", "services"),
        ("services:\n  web:\n", "services.web"),
        ("services:\n  web: redis:7\n", "services.web"),
        ("services:\n  web: {ports: ['80']}\n", "services.web"),
        ("services:\n  web: {image: 7}\n", "services.web.image"),
        ("services:\n  web: {image: [a]}\n", "services.web.image"),
        ("services:\n  web: {build: 7}\n", "services.web.build"),
        ("services:\n  web: {build: {context: nowhere}}\n", "services.web.build"),
        ("services:\n  web: {build: {dockerfile: Other}}\n", "services.web.build"),
        ("services:\n  web: {build: ..}\n", "services.web.build"),
        ("services:\n  web: {build: /}\n", "services.web.build"),
        ("services:\n  web: {build: a/../../b}\n", "services.web.build"),
        ("services:\n  web: {build: 'C:\\web'}\n", "services.web.build"),
        ("services:\n  web: {build: 'https://example.org/a.git'}\n", "services.web.build"),
        ("services:\n  web: {extends: {file: /etc/passwd, service: a}}\n", "services.web.extends"),
        ("include: [/etc/passwd]\nservices: {a: {image: 'redis:7'}}\n", "include"),
    ],
)
def test_what_is_no_compose_file_of_ours_is_refused_at_its_key(
    folder: Path, text: str, key: str
) -> None:
    error = refused(folder, text)
    assert error.where is not None
    assert error.where.startswith("counter/compose.yaml")
    assert not key or error.where.endswith(f", {key}")


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]\nservices: *a\n",
        "services: &s\n  web: *s\n",
        "[" * 5000,
        "{" * 5000,
        "- " * 5000 + "a",
        "? " * 5000 + "a",
        "a: " + "b" * (MAX_BYTES // 2) + "\n" + "k: v\n" * 2,
        "a: &a0 [x]\n" + "".join(f"b{i}: &a{i + 1} [{f'*a{i},' * 9}]\n" for i in range(12)),
        "services: {web: {image: 2001-99-99}}\n",
        "a" * (MAX_BYTES + 1),
        b"services:\n  web: {image: caf\xe9}\n",
        b"\x00\x01\x02",
        b"\xff\xfe\x00",
        "? {a: b}\n: c\n",
        "1: {2: 3}\n",
        "services: {? [a, b] : {image: x}}\n",
    ],
    ids=[
        "endless",
        "endless service",
        "deep list",
        "deep mapping",
        "deep lines",
        "deep keys",
        "long text",
        "bomb",
        "no date",
        "large",
        "latin-1",
        "binary",
        "half utf-16",
        "mapping as key",
        "numbers",
        "list as key",
    ],
)
def test_absurd_content_is_refused_in_no_time(folder: Path, text: str | bytes) -> None:
    error = refused(folder, text)
    assert str(error.where).startswith("counter/compose.yaml")


@pytest.mark.parametrize(
    ("there", "word"),
    [
        ([], "compose.yaml"),
        (["docker-compose.yaml.txt"], "docker-compose.yaml.txt"),
        (["Compose.YML"], "Compose.YML"),
        (["stack.yml"], "stack.yml"),
    ],
)
def test_a_file_that_is_called_otherwise_is_named(
    folder: Path, there: list[str], word: str
) -> None:
    for name in there:
        (folder / name).write_text(GOOD)
    with pytest.raises(Refused) as caught:
        read(folder, "counter")
    assert caught.value.where == "counter/"
    assert word in str(caught.value.remedy)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        read(tmp_path / "none", "counter")


@pytest.mark.parametrize("image", ["redis:7\u00a0", "\u2003redis:7", "redis:\u200b7", "red is:7"])
def test_an_image_with_a_strange_character_is_refused(tmp_path: Path, image: str) -> None:
    text = f"services: {{web: {{image: '{image}'}}}}\n"
    (tmp_path / "compose.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(Refused, match="not allowed in image names"):
        read(tmp_path, "counter")


def test_words_for_a_missing_variable_are_no_part_of_an_image(tmp_path: Path) -> None:
    text = "services: {web: {image: 'redis:${TAG:?say which one}'}}\n"
    (tmp_path / "compose.yaml").write_text(text, encoding="utf-8")
    (tmp_path / ".env").write_text("TAG=7\n", encoding="utf-8")
    assert read(tmp_path, "counter").entries[0].image == "redis:7"


def test_a_strange_character_out_of_a_variable_is_refused_once_it_is_filled_in(
    tmp_path: Path,
) -> None:
    (tmp_path / "compose.yaml").write_text("services: {web: {image: $I}}\n", encoding="utf-8")
    (tmp_path / ".env").write_text('I="redis:7\u00a0"\n', encoding="utf-8")
    answer = '{"services": {"web": {"image": "redis:7\\u00a0"}}}'
    with pytest.raises(Refused, match="not allowed in image names"):
        resolved.compose(answer, read(tmp_path, "counter"), "/drydock/counter")


def test_a_build_of_nothing_is_a_build_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {web: {build: $V}}\n", encoding="utf-8")
    (tmp_path / "Dockerfile").write_text("FROM redis:7\n", encoding="utf-8")
    written = read(tmp_path, "counter")
    answer = '{"services": {"web": {"build": {"dockerfile": "Dockerfile"}}}}'
    found = resolved.compose(answer, written, "/drydock/counter")
    assert [str(path) for path in found.paths] == ["."]
    assert '"context": "/pinned"' in found.text(
        {found.paths[0]: "/pinned"}, {PurePosixPath("Dockerfile"): "/vetted"}
    )
