# Copyright: cellblock.jails contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python in a session on a simulated host keeps what it compiled of a module that came as Ansible's zip.

It compiles the same files for every task otherwise. What a real host takes for that is measured by `make benchmark`, without this.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
import zipimport
from typing import Any

KEPT = "/.collections/.compiled"
compile_source: Any = zipimport._compile_source  # type: ignore[attr-defined]
rename_file: Any = _imp._fix_co_filename  # type: ignore[attr-defined]


def kept(path: str, source: bytes) -> Any:
    """The code of a source, by what is in it."""
    place = f"{KEPT}/{_imp.source_hash(sys.hexversion, source).hex()}"
    try:
        with open(place, "rb") as stream:
            code = marshal.loads(stream.read())
        rename_file(code, path)
    except OSError:
        code = compile_source(path, source)
        os.makedirs(KEPT, exist_ok=True)
        with open(f"{place}.{os.getpid()}", "wb") as stream:
            stream.write(marshal.dumps(code))
        os.rename(f"{place}.{os.getpid()}", place)
    return code


zipimport._compile_source = kept  # type: ignore[attr-defined]
