"""What tests measure on a drawing, SVG that stands in the page itself: JavaScript for `Page.js`."""

from __future__ import annotations

SETUP = """
const svg = document.querySelector('svg'), frame = svg.getBoundingClientRect();
const shapes = [...svg.querySelectorAll('rect, path')].filter(e => !e.closest('defs'));
const filled = shapes.filter(e => getComputedStyle(e).fill !== 'none');
const lines = shapes.filter(e => getComputedStyle(e).fill === 'none'
  && !e.classList.contains('frame') && e.tagName === 'path');
const point = (x, y) => { const p = svg.createSVGPoint();
  p.x = x - frame.left; p.y = y - frame.top; return p };
// A line of text is taller than its letters.
const box = e => { const b = e.getBoundingClientRect(), cut = b.height * 0.18;
  return {left: b.left, right: b.right, top: b.top + cut, bottom: b.bottom - cut} };
const texts = [...svg.querySelectorAll('text')];
"""

MISPLACED = (
    SETUP
    + """
const found = [];
for (const e of texts) {
  const b = box(e), words = e.textContent;
  if (b.left < frame.left + 6 || b.right > frame.right - 6 || b.top < frame.top + 4
      || b.bottom > frame.bottom - 4) found.push(words + ': leaves the picture');
  const middle = point((b.left + b.right) / 2, (b.top + b.bottom) / 2);
  const under = filled.filter(s => s.isPointInFill(middle)).pop();
  if (under) {
    const u = under.getBoundingClientRect();
    if (b.left < u.left + 2 || b.right > u.right - 2 || b.top < u.top || b.bottom > u.bottom)
      found.push(words + ': sticks out of its box');
  }
  for (const other of texts.slice(texts.indexOf(e) + 1)) {
    const o = box(other);
    if (b.left < o.right + 3 && o.left < b.right + 3 && b.top < o.bottom && o.top < b.bottom)
      found.push(words + ': runs into ' + other.textContent);
  }
  for (const way of lines) {
    // A line that a box covers here is not seen.
    if (under && under.compareDocumentPosition(way) & Node.DOCUMENT_POSITION_PRECEDING) continue;
    let hit = false;
    for (let i = 0; i <= 24; i++) for (let j = 0; j <= 4; j++)
      hit ||= way.isPointInStroke(point(b.left + (b.right - b.left) * i / 24,
        b.top + (b.bottom - b.top) * j / 4));
    if (hit) found.push(words + ': a line runs through it');
  }
}
return found;
"""
)
"""Words that leave the picture or their box, or run into other words or into a line."""

CONTRASTS = (
    SETUP
    + """
const light = c => { const l = c.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
  .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2] };
return texts.map(e => {
  const b = box(e), ink = light(getComputedStyle(e).fill);
  let least = 21;
  for (let i = 0; i <= 24; i++) for (let j = 0; j <= 4; j++) {
    const at = point(b.left + (b.right - b.left) * i / 24, b.top + (b.bottom - b.top) * j / 4);
    const under = filled.filter(s => s.isPointInFill(at)).pop();
    if (!under) return {text: e.textContent, contrast: 0};
    const [high, low] = [ink, light(getComputedStyle(under).fill)].sort((x, y) => y - x);
    least = Math.min(least, (high + 0.05) / (low + 0.05));
  }
  return {text: e.textContent, contrast: least, size: parseFloat(getComputedStyle(e).fontSize)};
});
"""
)
"""For each text: the least contrast (WCAG) with what lies under it, and its size in pixels."""
