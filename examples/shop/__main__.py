"""`python -m examples.shop --out DIR`: write the bundled sample, any size, any seed."""

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from examples.shop.simulate import SampleSettings, write_sample


def main(arguments: list[str] | None = None) -> int:
    """Parse, simulate, say where it lies; exit code 2 for settings that do not hold."""
    parser = argparse.ArgumentParser(prog="python -m examples.shop", description="Simulate the bilingual sample shop and write its files.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    for name, field in (("seed", "seed"), ("users", "num_users"), ("items", "num_items"), ("days", "num_days")):
        described = SampleSettings.model_fields[field]
        parser.add_argument(f"--{name}", type=int, default=described.default, dest=field, help=f"{described.description} (%(default)s)")
    given = vars(parser.parse_args(arguments))
    directory = given.pop("out")
    try:
        settings = SampleSettings(**given)
    except ValidationError as error:
        parser.error("; ".join(f"{'.'.join(map(str, found['loc'])) or 'settings'}: {found['msg']}" for found in error.errors()))
    dataset_file = write_sample(directory, settings=settings)
    sys.stdout.write(f"{dataset_file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
