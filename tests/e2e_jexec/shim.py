# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In the place of ssh: runs the command in the host's namespace, without a network.

``shim.py PID ARGUMENTS-OF-SSH``; as with ssh, what follows the host's name is joined and read by a shell.
"""

from __future__ import annotations

import os
import sys

WITH_VALUE = set("BbcDEeFIiJLlmOopQRSWw")


def main() -> None:
    """Leave out the options, run the rest."""
    pid, arguments = sys.argv[1], sys.argv[2:]
    while arguments and arguments[0].startswith("-"):
        option = arguments.pop(0)
        if len(option) == 2 and option[1] in WITH_VALUE:
            arguments.pop(0)
    command = " ".join(arguments[1:])
    os.execvp("nsenter", ["nsenter", "--mount", f"--target={pid}", "/bin/sh", "-c", f"cd /root; {command}"])


if __name__ == "__main__":
    main()
