"""One signer in a process that holds nothing else, as a script or a function in the cloud has it:
`python -m benchmarks.alone ours|official ROUNDS`. It prints the microseconds a call of each round."""

import json
import sys

from benchmarks.measuring import Work, interleave
from benchmarks.peers import USERIDS, official_signer, our_signer

CALLS = 100


def main() -> None:
    which, rounds = sys.argv[1:]
    signer = {"ours": our_signer, "official": official_signer}[which]()
    print(json.dumps(interleave({which: Work(signer, USERIDS)}, int(rounds), CALLS)[which]))


if __name__ == "__main__":
    main()
