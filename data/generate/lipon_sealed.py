"""The sealed families of LiPON with motifs: like those of `lipon_motifs.py`, apart, for tests only.

python data/generate/lipon_sealed.py --out runs/lipon_sealed --workers 2
"""

import sys

from lipon_motifs import SEALED, main

if __name__ == "__main__":
    sys.exit(main(SEALED))
