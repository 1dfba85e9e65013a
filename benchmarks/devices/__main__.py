"""What real devices do to the digits network, and what drawing their chips costs.

    python -m benchmarks.devices time bits repair [--seeds 10] [--chips 10] [--quick]
    python -m benchmarks.devices cost [--count 10000] [--quick]

Each question writes benchmarks/results/devices_<name>.csv row by row and goes on where it was
stopped; time, bits and repair draw docs/figures/devices_<name>.png. Quick runs write below
benchmarks/results/quick, which git ignores.
"""

import argparse

import jax

QUESTIONS = ("time", "bits", "repair", "cost")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.devices",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("questions", nargs="+", choices=QUESTIONS)
    parser.add_argument("--seeds", type=int, default=10, help="networks, each with its own split")
    parser.add_argument("--chips", type=int, default=10, help="drawn chips of each network")
    parser.add_argument("--count", type=int, default=10_000, help="networks of `cost`")
    parser.add_argument("--quick", action="store_true", help="small and short, to see it work")
    asked = parser.parse_args()
    if asked.quick:
        asked.seeds, asked.chips, asked.count = 2, 2, 40
    jax.config.update("jax_enable_x64", True)
    # After the line above: what is imported here may make arrays.
    from benchmarks.devices import bits, cost, over_time, repair

    modules = {"time": over_time, "bits": bits, "repair": repair, "cost": cost}
    for name in asked.questions:
        modules[name].run(asked)


if __name__ == "__main__":
    main()
