"""The guide's commands work as they stand, and its page of operations is drawn without breaking the policy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.live import ROOT, LivePlatform

GUIDE = ROOT / "docs" / "rest-api.md"


@pytest.mark.once
def test_the_commands_of_the_guide_work_as_they_stand(platform: LivePlatform, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    blocks = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    script = "set -euo pipefail\n" + "".join(blocks)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "BASE": f"{platform.base_url}/api/v1",
            "TOKEN": str(platform.client.token),
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr}"
    assert '"predicted_label":1.0' in done.stdout
    assert "model_algo-1" in done.stdout
    assert "event: end" in done.stdout


def test_the_page_of_operations_works_under_the_strict_policy(browser_page: Page) -> None:
    browser_page.goto("/api/v1/docs/")
    health = browser_page.locator("#operations-platform-health")
    health.locator(".opblock-summary").click()
    health.locator(".try-out__btn").click()
    health.locator(".execute").click()
    answered = health.locator(".live-responses-table tbody .response-col_status").first
    answered.wait_for()
    assert answered.inner_text().startswith("200")
    assert browser_page.locator(".opblock").count() >= 50
