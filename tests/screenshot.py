"""Takes the README's pictures: the quickstart in JupyterLab on this repository's own lab, while it runs.

Run it as `tests/.venv/bin/python tests/screenshot.py`; it takes as long as the quickstart, about five
minutes once the lab is built, and leaves its pictures in `tests/screenshots/bundled*.png`: look at them, and
copy the live view to `docs/screenshot.png` and the table with the chart to `docs/ledger.png`.
"""

from __future__ import annotations

import sys

import nbformat

from browsers import jupyterlab, notebook
from bundled import bundled_lab
from places import Place, until

WATCH_FROM = 5  # the picture of the live view is taken while this experiment runs


def main() -> None:
    """Runs the quickstart and takes the pictures."""
    place = Place()
    lab = bundled_lab(place)
    book = nbformat.read(lab.root / "notebooks/quickstart.ipynb", as_version=4)
    at = {cell.id: index for index, cell in enumerate(book.cells)}
    try:
        with jupyterlab(lab) as address:
            path = "notebooks/quickstart.ipynb"
            with notebook(address, path, width=1440, height=1350, scale=1.5) as page:
                page.run_all()
                until(lambda: lab.status()["experiments"] >= WATCH_FROM, "the loop is in its middle", 3600, 1)
                until(lambda: lab.status()["slots"][0]["elapsed"] > 12, "the run is in its middle", 120, 0.5)
                page.show(at["wait-text"])
                page.page.wait_for_timeout(1500)
                print(page.shot("bundled-live"))
                page.output(at["rust"]).first.wait_for(timeout=900_000)
                page.show(at["experiments-text"])
                page.page.wait_for_timeout(1500)
                print(page.shot("bundled"))
                for name in at:
                    page.show(at[name])
                    page.page.wait_for_timeout(300)
                    page.shot(f"bundled-{at[name]:02d}-{name}")
    finally:
        place.kill_all()
        place.remove()


if __name__ == "__main__":
    sys.exit(main())
