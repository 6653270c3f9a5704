"""python -m nlpseq: the same as the command `nlpseq`."""

import sys
from importlib import import_module


def main() -> None:
    try:
        cli = import_module("nlpseq.cli")  # by name: the folder cli/ becomes nlpseq.cli on installation
    except ModuleNotFoundError as error:
        if error.name != "nlpseq.cli":
            raise
        sys.exit("nlpseq is not installed here: pip install -e .")
    cli.main()


if __name__ == "__main__":
    main()
