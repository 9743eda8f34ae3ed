"""Which versions are known to be open to which escapes."""

from __future__ import annotations

import pytest

from grader.doctor import advisories


@pytest.mark.parametrize(
    ("component", "version", "ids"),
    [
        ("runc", "1.1.11", {"CVE-2024-21626", "CVE-2025-31133"}),
        ("runc", "1.1.12", {"CVE-2025-31133"}),
        ("runc", "1.1.5+ds1-1+deb12u1", {"CVE-2024-21626", "CVE-2025-31133"}),
        ("runc", "1.2.7", {"CVE-2025-31133"}),
        ("runc", "1.2.8", set()),
        ("runc", "1.3.2", {"CVE-2025-31133"}),
        ("runc", "1.3.3", set()),
        ("runc", "1.4.1", set()),
        ("runc", "2.0.0", set()),
        ("engine", "24.0.8", {"CVE-2024-23651, -23652, -23653", "CVE-2026-41567"}),
        ("engine", "24.0.9", {"CVE-2026-41567"}),
        ("engine", "25.0.1", {"CVE-2024-23651, -23652, -23653", "CVE-2026-41567"}),
        ("engine", "28.5.2", {"CVE-2026-41567"}),
        ("engine", "29.5.1", set()),
        ("compose", "v2.40.1", {"CVE-2025-62725"}),
        ("compose", "2.40.2", set()),
        ("engine", "no number", set()),
        ("containerd", "0.1.0", set()),
    ],
)
def test_known_escapes(component: str, version: str, ids: set[str]) -> None:
    assert {advisory.id for advisory in advisories.against(component, version)} == ids


@pytest.mark.parametrize(
    ("version", "patched"),
    [
        ("20.10.24+dfsg1", True),
        ("1.1.5+ds1-1+deb12u1", True),
        ("24.0.7-0ubuntu2", True),
        ("28.2.2", False),
        ("v0.13.1", False),
    ],
)
def test_a_distributions_build_is_told_apart(version: str, patched: bool) -> None:
    assert advisories.patched_by_distribution(version) == patched
