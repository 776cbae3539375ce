"""Takes the README's pictures: a loop on this repository's own lab in JupyterLab, while it runs and when it is over.

Run it as `tests/.venv/bin/python tests/screenshot.py`; it takes about 25 minutes on two cores, and nothing else
should run beside it. It leaves its pictures in `tests/screenshots/bundled*.png`: look at them, and copy the live view
to `docs/screenshot.png` and the table with the chart to `docs/ledger.png`.
"""

from __future__ import annotations

import sys

from nbformat import v4, write

from browsers import jupyterlab, notebook
from bundled import bundled_lab
from kernels import METADATA
from places import Place, until

EXPERIMENTS = 48
WATCH_FROM = 30  # the picture of the live view is taken while this experiment runs
LIVE, TABLE = 1, 3  # the headings above them
CELLS = [
    v4.new_code_cell(f"%loop start --experiments {EXPERIMENTS} --budget 20s"),
    v4.new_markdown_cell("## While it runs"),
    v4.new_code_cell("%loop wait"),
    v4.new_markdown_cell("## In the morning"),
    v4.new_code_cell("%experiments --top 8"),
    v4.new_code_cell("%plot progress"),
    v4.new_code_cell("%diff 0 best"),
    v4.new_code_cell("%plot parameters"),
]


def main() -> None:
    """Runs the loop and takes the pictures."""
    place = Place()
    lab = bundled_lab(place)
    write(v4.new_notebook(cells=CELLS, metadata=METADATA), lab.root / "notebooks/night.ipynb")
    try:
        with jupyterlab(lab) as address, notebook(
            address, "notebooks/night.ipynb", width=1440, height=1350, scale=1.5
        ) as page:
            page.run_all()
            until(lambda: lab.status()["experiments"] >= WATCH_FROM, "the loop is in its middle", 3600, 1)
            until(lambda: lab.status()["slots"][0]["elapsed"] > 12, "the run is in its middle", 120, 0.5)
            page.show(LIVE)
            page.page.wait_for_timeout(1500)
            print(page.shot("bundled-live"))
            page.output(len(CELLS) - 1).first.wait_for(timeout=3_600_000)
            page.show(TABLE)
            page.page.wait_for_timeout(1500)
            print(page.shot("bundled"))
            for cell in range(len(CELLS)):
                page.show(cell)
                page.page.wait_for_timeout(300)
                page.shot(f"bundled-{cell}")
    finally:
        place.kill_all()
        place.remove()


if __name__ == "__main__":
    sys.exit(main())
