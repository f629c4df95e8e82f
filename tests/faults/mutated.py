"""`python -m tests.faults.mutated <folder> serve <service>`: the service with every mutant of it, none switched on."""

import sys
from pathlib import Path

from services.__main__ import main
from tests.faults.mutants import apply_all

if __name__ == "__main__":
    folder = Path(sys.argv.pop(1))
    apply_all(sys.argv[2], folder)
    main()
