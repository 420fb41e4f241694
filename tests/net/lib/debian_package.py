"""The Debian package of the tree that is under test, as cpack makes it."""

import os

from nettest import BIN, LabError, run

BUILD = os.path.dirname(BIN)


def package(folder, version):
    """Path of greywire_VERSION_ARCH.deb, made in `folder`."""
    run("cpack", "--config", os.path.join(BUILD, "CPackConfig.cmake"), "-B", folder, "-D", f"CPACK_PACKAGE_VERSION={version}",
        timeout=200)
    found = [name for name in os.listdir(folder) if name.endswith(".deb") and f"_{version}_" in name]
    if len(found) != 1:
        raise LabError(f"cpack made not one package of {version}: {os.listdir(folder)}")
    return os.path.join(folder, found[0])
