"""Exercise hello: a runbook of docker commands, each step checked before the next one runs."""

from grader.checks import check
from grader.modules.runbook import one_engine
from grader.modules.runbook.one_engine import Book, Scene
from grader.modules.runbook.scenario import step_check

book, scenario = one_engine.fixtures("hello/runbook.txt")
PAGES = "/usr/share/nginx/html"


@check(points=0.5, needs_engine=False)
def check_runbook(book: Book) -> None:
    """hello/runbook.txt can be read, and all its commands belong to this exercise."""
    one_engine.must_be_readable(book)


@step_check("run", points=1.5)
def check_runs(scene: Scene) -> None:
    """Run: your container runs, and its page answers at your port."""
    scene.must_run(scene.variant["name"])
    scene.must_answer(scene.variant["port"])


@step_check("stop", points=0.5, needs=["runs"])
def check_stopped(scene: Scene) -> None:
    """Stop: your container has stopped, and still exists."""
    found = scene.must_exist(scene.variant["name"])
    if not found.ended:
        scene.fail("It has not stopped.", expected="a stopped container", actual=found.in_words)


@step_check("start again", points=1, needs=["stopped"])
def check_same(scene: Scene) -> None:
    """Start again: the same container runs again."""
    name = scene.variant["name"]
    scene.must_run(name)
    if scene.is_new(name):
        scene.fail(f"This is a new container {name}.", hint=f"docker start {name}")


@step_check("replace", points=1, needs=["runs"])
def check_volume(scene: Scene) -> None:
    """Replace: a new container of the same name serves its pages from your volume."""
    name, volume = scene.variant["name"], scene.variant["volume"]
    found = scene.must_run(name)
    if not scene.is_new(name):
        scene.fail(f"This is still the container {name} of before.", hint=f"docker rm -f {name}")
    if (volume, PAGES) not in [(mount.name, mount.path) for mount in found.mounts]:
        scene.fail("It lacks your volume.", expected=volume, actual=found.mounts_in_words)


@step_check("clean up", points=0.5, needs=["volume"])
def check_clean(scene: Scene) -> None:
    """Clean up: your container is removed, and your volume is kept."""
    state, volume = scene.now, scene.variant["volume"]
    if state.containers:
        scene.fail("A container is still there.", actual=", ".join(state.containers))
    if volume not in state.volumes:
        scene.fail("Your volume was removed as well.", expected=volume, hint="docker rm without -v")
