"""What Docker reads in a submission's files, compared with the allow-list: only this runs.

The text is vetted first, for good words (grader.vetting.compose, grader.vetting.stack). Then
`docker compose config` or `docker stack config` resolves it on the node, and the one document that
comes of it, with every merge, tag, variable and path resolved, is vetted here. `up` and `deploy`
are given what this module writes, and nothing else of the submission's YAML:

    >>> text = YamlFile.parse("services: {web: {image: 'a:1', volumes: ['./site:/x']}}", "c.yaml")
    >>> file = compose_text.ComposeFile(Path(), ["c.yaml"], [], texts=(text,))
    >>> mount = {"type": "bind", "source": "/drydock/page/site", "target": "/x"}
    >>> answer = json.dumps({"services": {"web": {"image": "a:1", "volumes": [mount]}}})
    >>> document = compose(answer, file, "/drydock/page")
    >>> document.file.refuse_images({"a:1"})
    >>> document.paths
    (PurePosixPath('site'),)
    >>> document.text({path: f"/pinned/{path}" for path in document.paths}, {})
    '{"services": {"web": {"image": "a:1", "volumes": [{..."source": "/pinned/site"...}]}}}'

Where the text was found harmless and the document is refused, the two readings disagree: that is
a `Disagreement`, a refusal that is worth a look at the grader's reading as well.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from grader.errors import Refused
from grader.files.submitted_path import checked
from grader.vetting import compose as compose_text
from grader.vetting import model, model_stack
from grader.vetting import stack as stack_text
from grader.vetting.allowlist import Place, Setting, check
from grader.vetting.variables import Variables
from grader.vetting.yamlfile import Key, YamlFile

MAX_BYTES = 1_000_000
"""Bytes of a resolved document; the text it comes from has 64 KB at most."""

_UNSAFE = re.compile("[\x7f-\uffff]")


class Disagreement(Refused):
    """The text was taken and what Docker makes of it is not; `document` is that, for the log."""

    document: str = ""


@dataclass(frozen=True)
class _ResolvedFile(YamlFile):
    """A resolved document that points to the lines of the text it comes from."""

    texts: Sequence[YamlFile] = field(default=())

    def where(self, *keys: Key) -> str:
        for text in reversed(self.texts):
            line = text.line(*keys)
            if line:
                return f"{text.name}, line {line}, {'.'.join(map(str, keys))}"
        return f"{self.name}, {'.'.join(map(str, keys))}"


@dataclass(frozen=True)
class ComposeDocument:
    """A compose file as Compose resolved it, found harmless."""

    file: compose_text.ComposeFile
    """Its services, read from the resolved document: their images and builds are what counts."""
    paths: tuple[PurePosixPath, ...]
    """Every file and folder of the submission that it names, relative to the folder."""
    _data: dict[str, Any]

    def text(
        self, places: Mapping[PurePosixPath, str], dockerfiles: Mapping[PurePosixPath, str]
    ) -> str:
        """The document that is run, as JSON, which is YAML that every reader reads alike.

        `places` says where each of `paths` lies on the node, `dockerfiles` where the vetted
        Dockerfiles do.
        """
        data = copy.deepcopy(self._data)
        for holder, key in _path_holders(data):
            holder[key] = places[checked(str(holder[key]), self.file.files[0])]
        for service in self.file.entries:
            if service.build is not None and service.build.dockerfile is not None:
                build = data["services"][service.name]["build"]
                build["dockerfile"] = dockerfiles[service.build.dockerfile]
        return dumped(data)


def compose(answer: str, text: compose_text.ComposeFile, root: str) -> ComposeDocument:
    """Vet what `docker compose config --format json` answered for `text`.

    `root` is the submission's folder on the node. Raises Disagreement.
    """
    name = text.texts[0].name
    data = _parsed(answer, name, json.loads)
    for key in [key for key in data if key.startswith("x-")]:
        del data[key]
    for service in data["services"].values():
        # Only `watch` reads it, which is never run.
        service.pop("develop", None)
        build = service.get("build")
        if isinstance(build, dict) and not build.get("context"):
            # Compose leaves out an empty one (`build: $UNSET`), and builds the project's folder.
            build["context"] = root
    file = _ResolvedFile(f"{name} (as Compose reads it)", data, None, text.texts)
    try:
        _relative_to(root, data, file)
        # A `$` stands doubled in this document, and there are no variables in it any more.
        variables = Variables(own=text.variables.own)
        setting = Setting(text.folder, variables, compose_text.defined([file]), model.ELSEWHERE)
        check(Place(file, setting, (), data), model.MODEL)
        found = compose_text.of_document(file, setting, text)
        paths = [checked(str(holder[key]), file.name) for holder, key in _path_holders(data)]
    except Refused as refused:
        raise _disagreement(refused, answer) from None
    return ComposeDocument(found, tuple(dict.fromkeys(paths)), data)


@dataclass(frozen=True)
class StackDocument:
    """A stack file as the docker CLI resolved it, found harmless."""

    file: stack_text.StackFile
    text: str
    """The document that is deployed, as JSON."""


def stack(answer: str, text: stack_text.StackFile, folder: Path, root: str) -> StackDocument:
    """Vet what `docker stack config` answered; as `compose`. Raises Disagreement."""
    data = _parsed(answer, text.file.name, lambda words: _read_yaml(words, text.file.name))
    for key in [key for key in data if key.startswith("x-")]:
        del data[key]
    file = _ResolvedFile(f"{text.file.name} (as Docker reads it)", data, None, (text.file,))
    try:
        places = _relative_to(root, data, file)
        # What is left of `$` here is no variable: it is text, and is doubled when it is written.
        setting = Setting(folder, Variables(literal=True), elsewhere=model.ELSEWHERE)
        check(Place(file, setting, (), data), model_stack.MODEL)
        found = stack_text.of_document(file)
    except Refused as refused:
        raise _disagreement(refused, answer) from None
    for holder, key in _path_holders(data):
        holder[key] = places[str(holder[key])]
    return StackDocument(found, dumped(_dollars_doubled(data)))


def dumped(data: Any) -> str:
    """JSON that every YAML reader reads as well: no character in it is a line's end or unprintable.

    Beyond the sixteen bits of an escape a character stands as it is: YAML knows no pairs.
    """
    text = json.dumps(data, ensure_ascii=False)
    return _UNSAFE.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)


def _parsed(answer: str, name: str, parse: Callable[[str], Any]) -> dict[str, Any]:
    if len(answer) > MAX_BYTES:
        raise Refused(
            "The file is too large after Docker has resolved it.",
            where=name,
            remedy="Write shorter values.",
        )
    try:
        data = parse(answer)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or not isinstance(data.get("services"), dict):
        raise Refused(
            "Docker finds no services in the file.",
            where=name,
            remedy="`docker compose config` shows what it reads.",
        )
    return data


def _read_yaml(text: str, name: str) -> Any:
    return YamlFile.parse(text, name).data


def _disagreement(refused: Refused, answer: str) -> Disagreement:
    found = Disagreement(refused.what, where=refused.where, remedy=refused.remedy)
    found.document = (
        "The file itself was accepted, but the form that Docker resolves it to is refused:\n"
        f"{answer[:8000]}"
    )
    return found


def _path_holders(data: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Where in a resolved document a path of the submission stands: (mapping, key)."""
    for service in data["services"].values():
        if not isinstance(service, dict):
            continue
        build = service.get("build")
        if isinstance(build, dict) and "context" in build:
            yield build, "context"
        for mount in service.get("volumes") or ():
            if isinstance(mount, dict) and mount.get("type") == "bind":
                yield mount, "source"
        env_files = service.get("env_file")
        for item in env_files if isinstance(env_files, list) else ():
            if isinstance(item, dict) and "path" in item:
                yield item, "path"
    for kind in ("configs", "secrets"):
        for entry in (data.get(kind) or {}).values():
            if isinstance(entry, dict) and entry.get("file") is not None:
                yield entry, "file"


def _relative_to(root: str, data: Mapping[str, Any], file: YamlFile) -> dict[str, str]:
    """Make all paths relative to `root`, in place; which path each one was. Refused: outside."""
    before: dict[str, str] = {}
    for holder, key in _path_holders(data):
        path = str(holder.get(key, ""))
        if path == root:
            now = "."
        elif path.startswith(f"{root}/"):
            now = str(checked(path.removeprefix(f"{root}/"), file.name))
        else:
            raise Refused(
                f"The path `{path[:80]}` leads out of the folder.",
                where=_place_of(path, file),
                remedy="Put what you need beside the file that names it, and write the path from"
                " there.",
            )
        holder[key] = now
        before[now] = f"{root}/{now}" if now != "." else root
    return before


def _place_of(path: str, file: YamlFile) -> str:
    """The keys below which a path stands, as far as that can be told."""
    for name, service in file.data["services"].items():
        if path in json.dumps(service, ensure_ascii=False):
            return file.where("services", str(name))
    return file.name


def _dollars_doubled(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, list):
        return [_dollars_doubled(item) for item in value]
    if isinstance(value, dict):
        return {key: _dollars_doubled(item) for key, item in value.items()}
    return value
