"""A headless browser that shows pages: what stands in them, what they say, how wide they are."""

import shutil
import subprocess

import pytest

BROWSER = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


def shown(address, *options):
    """The document as it stands after the browser ran it, and what it wrote to its console."""
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    run = subprocess.run(
        [*command, "--virtual-time-budget=8000", *options, "--dump-dom", address],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return run.stdout, [line for line in run.stderr.splitlines() if "CONSOLE" in line]


def told(page, expression, *options):
    """What an expression of JavaScript gives on a page in a window of 380 points' width.

    Args:
        page: its file; a copy with a script, and a frame around it, are written beside it.
        expression: of text or numbers.
        options: of the browser.
    """
    script = f"<script>document.title = 'told ' + ({expression})</script>"
    probe, frame = (page.with_name(f"{part}-{page.name}") for part in ("probe", "frame"))
    text = page.read_text(encoding="utf-8")
    probe.write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
    frame.write_text(
        f'<iframe src="{probe.name}" width="380" height="800" '
        'onload="document.title = this.contentDocument.title"></iframe>',
        encoding="utf-8",
    )
    document, _ = shown(frame.as_uri(), "--allow-file-access-from-files", *options)
    return document.split("<title>told ")[1].split("</title>")[0]
