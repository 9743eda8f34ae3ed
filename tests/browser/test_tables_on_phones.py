"""Tables that are wider than a phone: what stays whole all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from grader.classroom.reports import classpage
from tests.browser.conftest import Page
from tests.unit import sample_class as made

pytestmark = pytest.mark.browser

NAMES_CUT = """
// What has no blank may break; an ordinary word may not.
return [...document.querySelectorAll('.scroll tbody th')].filter(th => {
  const texts = document.createTreeWalker(th, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (texts.nextNode()) {
    for (const word of texts.currentNode.data.matchAll(/(?<!\\S)\\w{2,12}(?!\\S)/g)) {
      range.setStart(texts.currentNode, word.index);
      range.setEnd(texts.currentNode, word.index + word[0].length);
      if (range.getClientRects().length > 1) return true;
    }
  }
  return false;
}).map(th => th.textContent.trim());
"""
CAPTIONS = """
return [...document.querySelectorAll('.scroll caption')].map(c => {
  const range = document.createRange(); range.selectNodeContents(c);
  return [c.textContent, range.getBoundingClientRect().right] });
"""


@pytest.fixture(params=["feedback", "class"])
def file(request: pytest.FixtureRequest, rendered: Callable[[str], Path], tmp_path: Path) -> Path:
    if request.param == "feedback":
        return rendered("typical")
    return classpage.write(made.make(tmp_path), made.LAB)


@pytest.mark.parametrize("width", [320, 390])
def test_names_and_captions_stay_whole(page: Page, file: Path, width: int) -> None:
    page.open(file, width=width)
    assert page.js(NAMES_CUT) == []
    captions = page.js(CAPTIONS)
    assert captions
    assert [words for words, right in captions if right > width] == []
