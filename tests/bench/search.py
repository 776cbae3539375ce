"""The `search` proposer beside Optuna's TPE and random search: the lowest value after 8, 30, 60 and 100 trials.

    tests/.venv/bin/pip install optuna
    tests/.venv/bin/python tests/bench/search.py [--seeds N]

Functions: the standard set of synthetic ones (each with its lowest value at 0), one like a lab (rates, a momentum,
choices, a corner that fails), the same with noise (what is found is measured without it), three with twelve to twenty
parameters, of which most matter little or not at all, and the bundled lab itself, as recorded in `lab.jsonl`: training for 8 s of one core's time, with 17 constants drawn half at random, half by
Optuna's TPE; between recorded points the five nearest speak, by their distance.

All begin with the same point of each seed. Shown are medians over seeds, and the median over functions of the rank.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Value = float | None
Point = list[float]
AFTER = (8, 30, 60, 100)
ROOT = Path(__file__).resolve().parents[2]
SEARCH = ROOT / "target/release/examples/search"


def between(low: float, high: float, *, log: bool = False, whole: bool = False) -> dict[str, Any]:
    """A range."""
    return {"low": low, "high": high, "log": log, "whole": whole}


def choice(count: int) -> dict[str, Any]:
    """One of so many."""
    return {"choices": count}


@dataclass(frozen=True)
class Function:
    """What is to be minimized."""
    name: str
    of: Callable[[Point], Value]
    space: list[dict[str, Any]]
    #: What its value is without noise, where it has any.
    truth: Callable[[Point], Value] | None = None


def sphere(x: Point) -> float:
    return sum((v - 0.3 * (i % 3)) ** 2 for i, v in enumerate(x))


def rosenbrock(x: Point) -> float:
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in zip(x, x[1:], strict=False))


def rastrigin(x: Point) -> float:
    return sum(v * v - 10 * math.cos(2 * math.pi * v) + 10 for v in x)


def ackley(x: Point) -> float:
    square, wave = sum(v * v for v in x) / len(x), sum(math.cos(2 * math.pi * v) for v in x) / len(x)
    return -20 * math.exp(-0.2 * math.sqrt(square)) - math.exp(wave) + 20 + math.e


def griewank(x: Point) -> float:
    return 1 + sum(v * v for v in x) / 4000 - math.prod(math.cos(v / math.sqrt(i + 1)) for i, v in enumerate(x))


def levy(x: Point) -> float:
    w = [1 + (v - 1) / 4 for v in x]
    middle = sum((a - 1) ** 2 * (1 + 10 * math.sin(math.pi * a + 1) ** 2) for a in w[:-1])
    return math.sin(math.pi * w[0]) ** 2 + middle + (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)


def styblinski(x: Point) -> float:
    return sum(v**4 - 16 * v * v + 5 * v for v in x) / 2 + 39.16617 * len(x)


def branin(x: Point) -> float:
    a, b = x
    bend = (b - 5.1 / (4 * math.pi**2) * a * a + 5 / math.pi * a - 6) ** 2
    return bend + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10 - 0.397887


HARTMANN = [
    (1.0, (10, 3, 17, 3.5, 1.7, 8), (1312, 1696, 5569, 124, 8283, 5886)),
    (1.2, (0.05, 10, 17, 0.1, 8, 14), (2329, 4135, 8307, 3736, 1004, 9991)),
    (3.0, (3, 3.5, 1.7, 10, 17, 8), (2348, 1451, 3522, 2883, 3047, 6650)),
    (3.2, (17, 8, 0.05, 10, 0.1, 14), (4047, 8828, 8732, 5743, 1091, 381)),
]


def hartmann(x: Point) -> float:
    hills = (a * math.exp(-sum(w * (v - p / 1e4) ** 2 for v, w, p in zip(x, widths, places, strict=True)))
             for a, widths, places in HARTMANN)
    return 3.32237 - sum(hills)


def like_a_lab(x: Point) -> Value:
    """A rate, a decay, a momentum, a warm-up, and four choices; a high rate with a high momentum diverges."""
    rate, decay, momentum, warmup, depth, width, activation, heads = x
    if rate > 0.05 and momentum > 0.97:
        return None
    smooth = 0.15 * math.log10(rate / 0.004) ** 2 * (0.7 + 0.3 * depth) + 0.05 * math.log10(decay / 0.05) ** 2
    smooth += 0.08 * math.log10((1 - momentum) / 0.06) ** 2 + 0.1 * (warmup - 0.1) ** 2
    chosen = [0.12, 0.03, 0, 0.05][int(depth)] + [0.08, 0.02, 0, 0.04, 0.1][int(width)]
    chosen += [0.03, 0.02, 0][int(activation)] + [0.02, 0, 0.01][int(heads)]
    return smooth + chosen + 0.02 * (depth == 3 and width >= 3)


def noisy(x: Point) -> Value:
    """The same, as one run with one seed says it."""
    value = like_a_lab(x)
    return None if value is None else value + random.Random(repr(x)).gauss(0, 0.01)


LIKE_A_LAB = [between(1e-4, 1e-1, log=True), between(1e-3, 1, log=True), between(0.8, 0.99), between(0, 0.5),
              choice(4), choice(5), choice(3), choice(3)]


def embedded(x: Point) -> float:
    """Six that matter among twenty."""
    return hartmann(x[::3][:6])


def like_a_larger_lab(x: Point) -> Value:
    """The same with eight more: two that matter a little, six that do not."""
    value = like_a_lab(x[:8])
    clip, epsilon = x[8], x[9]
    return None if value is None else value + 0.02 * math.log10(clip) ** 2 + 0.01 * abs(epsilon - 0.3)


LIKE_A_LARGER_LAB = [*LIKE_A_LAB, between(0.1, 10, log=True), between(0, 1), between(1e-9, 1e-6, log=True),
                     between(0.9, 0.9999), between(1, 64, log=True, whole=True), choice(2), choice(2), choice(4)]


def bundled() -> Function:
    """The bundled lab as it was recorded."""
    lines = (Path(__file__).parent / "lab.jsonl").read_text().splitlines()
    names: dict[str, Any] = json.loads(lines[0])
    space = [choice(len(it["choices"])) if "choices" in it else between(**it) for it in names.values()]

    def place(index: int, value: float) -> float:
        it = space[index]
        if "choices" in it:
            return value
        low, high = it["low"], it["high"]
        return math.log(value / low) / math.log(high / low) if it["log"] else (value - low) / (high - low)

    rows = []
    for line in lines[1:]:
        row = json.loads(line)
        values = [it["choices"].index(row[name]) if "choices" in it else row[name] for name, it in names.items()]
        if row["val_bpb"] is not None:
            rows.append(([place(i, v) for i, v in enumerate(values)], row["val_bpb"]))

    def value(x: Point) -> float:
        at = [place(i, v) for i, v in enumerate(x)]

        def away(other: list[float]) -> float:
            return sum(0.25 * (a != b) if "choices" in it else (a - b) ** 2
                       for a, b, it in zip(at, other, space, strict=True))
        near = sorted((away(other), bpb) for other, bpb in rows)[:5]
        weights = [1 / (distance + 1e-3) for distance, _ in near]
        return sum(w * bpb for w, (_, bpb) in zip(weights, near, strict=True)) / sum(weights)
    return Function("the bundled lab", value, space)


def functions() -> list[Function]:
    """All of them."""
    return [
        Function("sphere, 6", sphere, [between(-5, 5)] * 6),
        Function("rosenbrock, 4", rosenbrock, [between(-2.048, 2.048)] * 4),
        Function("rastrigin, 4", rastrigin, [between(-5.12, 5.12)] * 4),
        Function("ackley, 6", ackley, [between(-20, 32.768)] * 6),
        Function("griewank, 6", griewank, [between(-300, 600)] * 6),
        Function("levy, 6", levy, [between(-10, 10)] * 6),
        Function("styblinski, 6", styblinski, [between(-5, 5)] * 6),
        Function("branin, 2", branin, [between(-5, 10), between(0, 15)]),
        Function("hartmann, 6", hartmann, [between(0, 1)] * 6),
        Function("like a lab, 8", like_a_lab, LIKE_A_LAB),
        Function("the same, noisy", noisy, LIKE_A_LAB, truth=like_a_lab),
        Function("levy, 12", levy, [between(-10, 10)] * 12),
        Function("like a lab, 16", like_a_larger_lab, LIKE_A_LARGER_LAB),
        Function("hartmann, 6 of 20", embedded, [between(0, 1)] * 20),
        bundled(),
    ]


def start(space: list[dict[str, Any]], seed: int) -> Point:
    """A point anywhere."""
    chance = random.Random(seed)

    def value(it: dict[str, Any]) -> float:
        if "choices" in it:
            return float(chance.randrange(it["choices"]))
        if it["log"]:
            return math.exp(chance.uniform(math.log(it["low"]), math.log(it["high"])))
        drawn = chance.uniform(it["low"], it["high"])
        return float(round(drawn)) if it["whole"] else drawn
    return [value(it) for it in space]


class Overnight:
    """The `search` proposer's optimizer."""

    def __init__(self, space: list[dict[str, Any]], seed: int) -> None:
        self.process = subprocess.Popen([SEARCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.tell_line({"space": space, "start": start(space, seed), "seed": seed})

    def tell_line(self, it: Any) -> None:
        print(json.dumps(it), file=self.process.stdin, flush=True)

    def ask(self) -> Point:
        return json.loads(self.process.stdout.readline())

    def tell(self, value: Value) -> None:
        self.tell_line(value)

    def close(self) -> None:
        self.process.communicate()


class Optuna:
    """One of Optuna's samplers."""

    def __init__(self, sampler: str, space: list[dict[str, Any]], seed: int) -> None:
        import optuna
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space, self.failed = space, optuna.trial.TrialState.FAIL
        self.study = optuna.create_study(sampler=getattr(optuna.samplers, sampler)(seed=seed))
        first = zip(space, start(space, seed), strict=True)
        self.study.enqueue_trial({str(i): int(v) if "choices" in it or it["whole"] else v
                                  for i, (it, v) in enumerate(first)})

    def ask(self) -> Point:
        self.trial = self.study.ask()

        def suggest(name: str, it: dict[str, Any]) -> float:
            if "choices" in it:
                return float(self.trial.suggest_categorical(name, list(range(it["choices"]))))
            if it["whole"]:
                return float(self.trial.suggest_int(name, it["low"], it["high"]))
            return self.trial.suggest_float(name, it["low"], it["high"], log=it["log"])
        return [suggest(str(i), it) for i, it in enumerate(self.space)]

    def tell(self, value: Value) -> None:
        if value is None:
            self.study.tell(self.trial, state=self.failed)
        else:
            self.study.tell(self.trial, value)

    def close(self) -> None:
        pass


WHO: dict[str, Callable[[list[dict[str, Any]], int], Overnight | Optuna]] = {
    "overnight": Overnight,
    "Optuna's TPE": lambda space, seed: Optuna("TPESampler", space, seed),
    "random": lambda space, seed: Optuna("RandomSampler", space, seed),
}


def lowest(job: tuple[str, int, int]) -> list[float]:
    """What was the lowest after each trial."""
    who, index, seed = job
    function = functions()[index]
    optimizer = WHO[who](function.space, seed)
    found, shown, so_far = math.inf, math.inf, []
    for _ in range(max(AFTER)):
        point = optimizer.ask()
        value = function.of(point)
        if value is not None and value < found:
            found, shown = value, (function.truth or function.of)(point) or 0.0
        so_far.append(shown)
        optimizer.tell(value)
    optimizer.close()
    return so_far


def measure(seeds: int) -> Iterator[tuple[str, str, list[float]]]:
    """The medians after `AFTER` trials, by function and optimizer."""
    names = [function.name for function in functions()]
    jobs = [(who, index, seed) for index in range(len(names)) for who in WHO for seed in range(seeds)]
    with ProcessPoolExecutor(2) as pool:
        results = pool.map(lowest, jobs, chunksize=seeds)
        for index, name in enumerate(names):
            for who in WHO:
                runs = [next(results) for _ in range(seeds)]
                yield name, who, [statistics.median(run[after - 1] for run in runs) for after in AFTER]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, default=21)
    seeds = arguments.parse_args().seeds
    subprocess.run(["cargo", "build", "--release", "-q", "-p", "overnight", "-p", "runner", "--example", "search"],
                   cwd=ROOT, check=True)
    table: dict[str, dict[str, list[float]]] = {}
    for name, who, medians in measure(seeds):
        table.setdefault(name, {})[who] = medians
    for column, after in enumerate(AFTER):
        print(f"\n| after {after} trials | " + " | ".join(WHO) + " |\n|---|" + "---:|" * len(WHO))
        for name, row in table.items():
            print(f"| {name} | " + " | ".join(f"{row[who][column]:.4g}" for who in WHO) + " |")
        better = sum(row["overnight"][column] <= row["Optuna's TPE"][column] for row in table.values())
        random_ = sum(row["overnight"][column] < row["random"][column] for row in table.values())
        print(f"\novernight is no worse than Optuna's TPE on {better} and better than random on {random_} "
              f"of {len(table)}")


if __name__ == "__main__":
    main()
