"""What was done, for whoever compares."""

import json
import os


def note(what, value):
    with open(os.environ["SHOP_JOURNAL"], "a") as journal:
        journal.write(json.dumps([what, value]) + "\n")
