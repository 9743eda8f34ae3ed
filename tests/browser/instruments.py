"""What tests measure on a page: JavaScript for `Page.js`, and colours."""

from __future__ import annotations

import re

TOO_WIDE = """
const width = arguments[0], root = document.documentElement;
const wide = [...document.querySelectorAll('body *')].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width > 0 && box.right > width + 0.5 && !e.closest('.scroll') && !e.closest('svg svg')
    && box.left > -width;
}).map(e => e.tagName + '.' + (e.getAttribute('class') || '') + ' ends at '
  + e.getBoundingClientRect().right);
if (root.scrollWidth > width) wide.push('the page is ' + root.scrollWidth + ' wide');
return wide;
"""
"""What sticks out of a window of this width, or makes the page scroll sideways."""

CONTRASTS = """
const parse = c => { const n = c.match(/[\\d.]+/g).map(Number);
  return n.length < 4 ? [...n, 1] : n };
const light = c => { const l = c.slice(0, 3).map(v => v / 255)
  .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2] };
const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3]));
const ground = e => { const layers = [];
  for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    layers.unshift(c); if (c[3] === 1) break; }
  return layers.reduce((under, top) => [...over(top, under), 1], [255, 255, 255, 1]) };
const found = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const text = walk.currentNode.textContent.trim(), e = walk.currentNode.parentElement;
  if (!text || !e.checkVisibility() || e.tagName === 'STYLE') continue;
  const under = ground(e), ink = [...over(parse(getComputedStyle(e).color), under), 1];
  const [a, b] = [light(ink), light(under)].sort((x, y) => y - x);
  found.push({text: text.slice(0, 60), where: e.tagName, contrast: (a + 0.05) / (b + 0.05)});
}
return found;
"""
"""For each piece of text that is shown: the contrast (WCAG) with what lies under it."""

NAMELESS = """
const named = e => (e.getAttribute('aria-label') || '').trim() || e.textContent.trim()
  || e.hasAttribute('aria-labelledby');
return [...document.querySelectorAll('a, summary, section, svg[role=img], h1, h2, h3, th')]
  .filter(e => !named(e)).map(e => e.tagName.toUpperCase());
"""
"""Elements that a screen reader would have no name for."""

CELLS_WITHOUT_HEADERS = """
return [...document.querySelectorAll('table')].map(t => {
  const columns = [...t.querySelectorAll('thead th[scope=col]')].length;
  return [...t.querySelectorAll('td')].filter(d =>
    d.cellIndex >= columns || !d.parentElement.querySelector('th[scope=row]')).length;
}).reduce((a, b) => a + b, 0);
"""
"""How many table cells have no header for their row or their column."""


def luminance(colour: str) -> float:
    """Relative luminance (0 black to 1 white) of a CSS colour such as `rgb(16, 23, 30)`."""
    parts = [float(number) / 255 for number in re.findall(r"[\d.]+", colour)[:3]]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
