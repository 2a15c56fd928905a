"""The node under test, the accounts that it comes with, and named checks."""

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

from eth_account import Account

HTTP = os.environ.get("KLAY_HTTP", "http://127.0.0.1:8551")
WS = os.environ.get("KLAY_WS", "ws://127.0.0.1:8552")
CHAIN_ID = 1337
KLAY = 10**18

Account.enable_unaudited_hdwallet_features()
MNEMONIC = "test test test test test test test test test test test junk"

_failed = False


def dev_account(index):
    """One of the ten accounts of a development chain."""
    return Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")


def check(name):
    """Runs the decorated function as a check; a failure is reported and the next check runs."""

    def run(body):
        global _failed
        try:
            body()
            print(f"ok - {name}", flush=True)
        except Exception:
            _failed = True
            print(f"not ok - {name}", flush=True)
            traceback.print_exc()
        return body

    return run


def done():
    """Ends the script with its exit code."""
    sys.exit(1 if _failed else 0)


def token():
    """Interface and code of the sample token, compiled by solc."""
    script = Path(__file__).parent.parent / "js" / "compile.mjs"
    output = subprocess.run(["node", script], check=True, capture_output=True, text=True).stdout
    compiled = json.loads(output)
    return compiled["abi"], compiled["bytecode"]
