"""JupyterLab in a headless Chromium, driven by Playwright."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

from labs import Lab
from places import ROOT, until

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]
# No question about news; every cell of a notebook in the page, seen or not.
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
PATIENCE = 90_000  # milliseconds
SCREENSHOTS = Path(__file__).resolve().parent / "screenshots"
PICTURES = ROOT / "target/acceptance/pictures"

# Each text of an element with the contrast of its colour to the ground below it (WCAG 2), where that is less than
# `least`. Colours that let others through, and opacity, are laid over each other as the page does it.
CONTRASTS = """
(root, least) => {
  const parse = text => {
    const numbers = text.match(/[\\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
    return text.startsWith("color(srgb")
      ? [numbers[0] * 255, numbers[1] * 255, numbers[2] * 255, numbers[3] ?? 1]
      : [numbers[0], numbers[1], numbers[2], numbers[3] ?? 1];
  };
  const over = (top, below, alpha) => below.map((value, i) => top[i] * alpha + value * (1 - alpha));
  const light = colour => {
    const [r, g, b] = colour.map(value => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const text = node.textContent.trim();
    const box = node.parentElement.getBoundingClientRect();
    if (!text || box.width === 0 || node.parentElement.closest(".vega-embed, style, script")) continue;
    const chain = [];
    for (let element = node.parentElement; element; element = element.parentElement) chain.unshift(element);
    let ground = [255, 255, 255];
    let opacity = 1;
    for (const element of chain) {
      const style = getComputedStyle(element);
      opacity *= Number(style.opacity);
      const colour = parse(style.backgroundColor);
      ground = over(colour.slice(0, 3), ground, colour[3] * opacity);
    }
    const colour = parse(getComputedStyle(node.parentElement).color);
    const ink = over(colour.slice(0, 3), ground, colour[3] * opacity);
    const [one, other] = [light(ink), light(ground)];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    // A sign without letters is a picture, which may have less.
    const wanted = /[\\p{L}\\p{N}]/u.test(text) ? least : Math.min(least, 3);
    if (contrast < wanted) found.push(`${contrast.toFixed(2)}: ${text.slice(0, 60)}`);
  }
  return found;
}
"""


@contextmanager
def jupyterlab(lab: Lab, app: str = "jupyterlab", dark: bool = False) -> Iterator[str]:
    """JupyterLab (or `notebook`) on the lab's folder with the kernel installed, and its address."""
    prefix = lab.place.path / "prefix"
    lab.overnight("install", "--prefix", str(prefix))
    runtime = Path(lab.place.env["JUPYTER_RUNTIME_DIR"])
    settings = lab.place.path / "home/settings"
    theme = {"apputils-extension/themes": {"theme": f"JupyterLab {'Dark' if dark else 'Light'}"}}
    for path, values in (SETTINGS | theme).items():
        file = settings / "@jupyterlab" / f"{path}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    env = lab.place.env | {
        "JUPYTER_PATH": str(prefix / "share/jupyter"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(lab.place.path / "home/workspaces"),
    }
    command = [sys.executable, "-m", app, "--no-browser", "--allow-root", "--port=0",
               "--IdentityProvider.token=", f"--ServerApp.root_dir={lab.root}",
               "--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    log = lab.place.path / "jupyterlab.log"
    with log.open("w") as output:
        server = subprocess.Popen(command, env=env, cwd=lab.root, stdout=output, stderr=subprocess.STDOUT)
    try:
        def address() -> str | None:
            assert server.poll() is None, log.read_text()
            for file in runtime.glob("jpserver-*.json"):
                try:
                    return json.loads(file.read_text())["url"]
                except (ValueError, KeyError):
                    return None
            return None

        yield until(address, "JupyterLab listens", seconds=120)
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()


class Notebook:
    """An open notebook."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address

    def cell(self, index: int) -> Locator:
        """One cell, counted from 0."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def output(self, index: int) -> Locator:
        """What a cell shows."""
        return self.cell(index).locator(".jp-OutputArea-output")

    def errors(self) -> Locator:
        """What is shown as an error, or was printed to standard error."""
        return self.page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]')

    def status(self) -> str:
        """What the bar at the bottom says of the kernel."""
        return " ".join(self.page.locator(".jp-StatusBar-TextItem").all_inner_texts())

    def ready(self) -> None:
        """Waits until the kernel is there and idle."""
        self.page.locator(".jp-StatusBar-TextItem", has_text="| Idle").wait_for()

    def button(self, title: str) -> Locator:
        """A button of the notebook's toolbar, by what it says under the mouse."""
        return self.page.locator(f'.jp-NotebookPanel-toolbar [title^="{title}"], '
                                 f'.jp-NotebookPanel-toolbar [aria-label^="{title}"]').first

    def run(self, index: int) -> None:
        """Runs one cell. A page that is still being put together loses keys: until its prompt says that it runs."""
        prompt = self.cell(index).locator(".jp-InputPrompt").first
        before = prompt.inner_text()

        def runs() -> bool:
            self.cell(index).locator(".cm-content").click()
            self.page.keyboard.press("Control+Enter")
            try:
                expect(prompt).not_to_have_text(before, timeout=5_000)
            except AssertionError:
                return False
            return True

        until(runs, "the cell runs")

    @contextmanager
    def beside(self, path: str) -> Iterator[Notebook]:
        """Another notebook, in another tab of the same browser."""
        page = self.page.context.new_page()
        page.set_default_timeout(PATIENCE)
        yield open_in(page, self.address, path)
        page.close()

    def run_all(self) -> None:
        """Runs every cell, once the kernel is there."""
        self.ready()
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.locator(".lm-Menu-itemLabel", has_text="Run All Cells").first.click()

    def show(self, index: int) -> Locator:
        """Scrolls to a cell."""
        cell = self.cell(index)
        cell.evaluate("cell => cell.scrollIntoView({block: 'start'})")
        return cell

    def illegible(self, index: int, least: float) -> list[str]:
        """The texts of a cell's output whose contrast to what is behind them is less than that, as it is drawn."""
        return self.cell(index).locator(".jp-OutputArea").first.evaluate(CONTRASTS, least)

    def picture(self, index: int, name: str) -> Path:
        """Takes a picture of one cell, and leaves it below `target`."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        self.show(index).screenshot(path=path)
        return path

    def shot(self, name: str) -> Path:
        """Takes a picture of the page."""
        SCREENSHOTS.mkdir(exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path


@contextmanager
def notebook(address: str, path: str, width: int = 1280, height: int = 900, scale: float = 1,
             dark: bool = False, app: str = "jupyterlab") -> Iterator[Notebook]:
    """Opens a notebook by its path in the lab."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=scale,
                                      color_scheme="dark" if dark else "light")
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        yield open_in(page, address, path, app)
        browser.close()


def open_in(page: Page, address: str, path: str, app: str = "jupyterlab") -> Notebook:
    """Opens a notebook in a page: in JupyterLab, in a workspace of its own; in Notebook 7, as it is."""
    lab = f"lab/workspaces/{Path(path).stem}/tree/{path}?reset"
    page.goto(address + (lab if app == "jupyterlab" else f"notebooks/{path}"), wait_until="domcontentloaded")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    return Notebook(page, address)

