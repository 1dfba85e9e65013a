"""Runs the questions: python -m benchmarks.speed [NAME or LETTER ...] [--quick] [--gpu]."""

import argparse
import importlib
import sys

QUESTIONS = {
    "a": "one_input",
    "b": "transfer",
    "c": "gradient",
    "d": "sizes",
    "e": "wires",
    "f": "compile_time",
    "g": "work_precision",
    "h": "networks",
    "i": "limits",
    "j": "severe",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    listed = ", ".join(f"{letter} {name}" for letter, name in QUESTIONS.items())
    parser.add_argument("questions", nargs="*", help=f"{listed}; all by default")
    parser.add_argument("--quick", action="store_true", help="small and short, to see it work")
    parser.add_argument("--gpu", action="store_true", help="a to e on one NVIDIA GPU, xbar alone")
    arguments = parser.parse_args()
    names = [QUESTIONS.get(q, q) for q in arguments.questions] or list(QUESTIONS.values())
    unknown = [n for n in names if n not in QUESTIONS.values()]
    if unknown:
        parser.error(f"no such question: {', '.join(unknown)}; there are {listed}")
    if arguments.gpu:
        names = ["gpu"]
    for name in names:
        importlib.import_module(f"benchmarks.speed.{name}").run(arguments.quick)
        print(f"{name}: written to benchmarks/results/{'quick/' if arguments.quick else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
