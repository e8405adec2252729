"""`python -m examples.signup`: the whole example in one process."""

import sys

from examples.signup.demo import main

if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
