"""The stock Debian kernel and the initramfs that run-in-vm boots, made once and kept in a cache folder.

Layout of the cache: `<package>/vmlinux` (or vmlinuz), `<package>/lib/modules/<version>/`, `<package>/complete`, and
`initramfs-<digest>.cpio`, whose digest covers everything that went into it. The package is fetched by `apt-get download`
and unpacked: nothing is installed.
"""

import glob
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "net", "lib"))

from package_cache import Missing, apt, last_words, need  # noqa: E402

# Enough for network tests: all of net/ and crypto/, no drivers of real hardware.
MODULE_FOLDERS = ("arch/", "crypto/", "lib/", "net/", "fs/9p/", "fs/netfs/", "fs/fscache/", "fs/overlayfs/",
                  "drivers/virtio/", "drivers/char/", "drivers/net/wireguard/", "drivers/net/vxlan/",
                  "drivers/net/bonding/", "drivers/net/")
# What must be loaded before the host's files can be reached, in any order; dependencies are added.
BOOT_MODULES = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "virtio_rng")


def _kernel_package(cache):
    """Name of the package behind linux-image-amd64, and apt's options with which it is found."""
    private = os.path.join(cache, "apt-lists")
    for options in ((), ("-o", f"Dir::State::lists={private}")):
        if options:  # the machine has no package lists: fetch some for this cache alone
            os.makedirs(os.path.join(private, "partial"), exist_ok=True)
            apt(cache, "apt-get", *options, "-q", "update")
        shown = apt(cache, "apt-cache", *options, "show", "--no-all-versions", "linux-image-amd64").stdout
        found = re.search(r"^Depends:.*\b(linux-image-[0-9][^ ,]*-amd64)\b", shown, re.M)
        if found:
            return found.group(1), options
    raise Missing("apt knows no linux-image-amd64: the package archive cannot be reached")


def _wanted(member):
    name = member.name.removeprefix("./")
    if name.startswith("boot/vmlinuz-"):
        return True
    module = re.fullmatch(r"lib/modules/[^/]+/(modules\..*|kernel/(.*))", name)
    if not module or not member.isfile():
        return False
    path = module.group(2)
    if path is None:
        return True
    if path.startswith("drivers/net/") and path.count("/") > 2:
        return path.startswith(MODULE_FOLDERS[:-1])
    return path.startswith(MODULE_FOLDERS)


def _uncompressed(bzimage):
    """The ELF image inside a bzImage (Linux boot protocol 2.08: setup_sects, payload_offset, payload_length), which boots
    seconds sooner under emulation; None if it is not packed with xz."""
    with open(bzimage, "rb") as image:
        whole = image.read()
    start = (whole[497] + 1) * 512 + int.from_bytes(whole[584:588], "little")
    length = int.from_bytes(whole[588:592], "little")
    try:
        elf = lzma.LZMADecompressor().decompress(whole[start:start + length])
    except lzma.LZMAError:
        return None
    return elf if elf.startswith(b"\x7fELF") else None


def _unpack(deb, folder):
    """Kernel and modules of the package into `folder`, with a module index."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as files:
        with tarfile.open(fileobj=files.stdout, mode="r|") as tar:
            for member in tar:
                if _wanted(member):
                    tar.extract(member, folder, set_attrs=False)
    images = glob.glob(os.path.join(folder, "boot", "vmlinuz-*"))
    versions = os.listdir(os.path.join(folder, "lib", "modules")) if images else []
    if files.returncode != 0 or len(versions) != 1:
        raise Missing(f"{os.path.basename(deb)} does not hold one kernel with its modules")
    subprocess.run([need("depmod", "kmod"), "-b", folder, versions[0]], check=True)
    elf = _uncompressed(images[0])
    if elf:
        with open(os.path.join(folder, "vmlinux"), "wb") as out:
            out.write(elf)
    else:
        shutil.copy(images[0], os.path.join(folder, "vmlinuz"))


def _fetch(cache):
    need("dpkg-deb", "dpkg")
    need("apt-get", "apt")
    need("depmod", "kmod")
    package, options = _kernel_package(cache)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        said = apt(work, "apt-get", *options, "-q", "download", package)
        debs = glob.glob(os.path.join(work, package + "_*.deb"))
        if said.returncode != 0 or not debs:
            raise Missing(f"{package} cannot be fetched: {last_words(said)}")
        folder = os.path.join(work, "kernel")
        os.mkdir(folder)
        _unpack(debs[0], folder)
        open(os.path.join(folder, "complete"), "w", encoding="ascii").close()
        os.chmod(folder, 0o755)
        shutil.rmtree(os.path.join(cache, package), ignore_errors=True)
        os.rename(folder, os.path.join(cache, package))


class GuestKernel:
    """`image` to boot, its `version`, and `modules`, the folder that belongs at /lib/modules/<version>."""

    def __init__(self, folder):
        self.version = os.listdir(os.path.join(folder, "lib", "modules"))[0]
        self.modules = os.path.join(folder, "lib", "modules", self.version)
        elf = os.path.join(folder, "vmlinux")
        self.image = elf if os.path.exists(elf) else os.path.join(folder, "vmlinuz")

    def load_order(self, names):
        """Paths of the modules and of all they depend on, each after its dependencies; built-in ones are left out."""
        needs = {}
        with open(os.path.join(self.modules, "modules.dep"), encoding="ascii") as index:
            for line in index:
                path, _, after = line.partition(":")
                needs[re.sub(r"\.ko.*", "", os.path.basename(path))] = (path, after.split())
        order = []
        for name in names:
            if name in needs:
                path, after = needs[name]
                order += [p for p in [*reversed(after), path] if p not in order]
        return [os.path.join(self.modules, path) for path in order]


def _cpio(entries):
    """A newc archive of (name, mode, bytes), which is what the kernel unpacks."""
    out = bytearray()
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        raw = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(raw), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + raw
        out += bytes(-len(out) % 4) + content
        out += bytes(-len(out) % 4)
    return bytes(out)


def initramfs(cache, kernel, init_folder):
    """Path of the archive with busybox, the boot modules and the scripts guest_init and guest_main of `init_folder`."""
    busybox = need("busybox", "busybox-static")
    with open(busybox, "rb") as program:
        busybox = program.read()
    if b"/ld-linux" in busybox[:4096]:
        raise Missing("busybox is not the static one (apt-get install busybox-static)")
    entries = [(name, 0o40755, b"") for name in ("bin", "dev", "proc", "sys", "host", "top", "root", "modules")]
    entries.append(("bin/busybox", 0o100755, busybox))
    for name, where in (("guest_init", "init"), ("guest_main", "main")):
        with open(os.path.join(init_folder, name), "rb") as script:
            entries.append((where, 0o100755, script.read()))
    for number, path in enumerate(kernel.load_order(BOOT_MODULES)):
        with open(path, "rb") as module:
            content = module.read()
        content = lzma.decompress(content) if path.endswith(".xz") else content
        entries.append((f"modules/{number:02}.ko", 0o100644, content))
    archive = _cpio(entries)
    path = os.path.join(cache, f"initramfs-{hashlib.sha256(archive).hexdigest()[:16]}.cpio")
    if not os.path.exists(path):
        for old in glob.glob(os.path.join(cache, "initramfs-*.cpio")):
            os.unlink(old)
        with open(path + ".new", "wb") as out:
            out.write(archive)
        os.rename(path + ".new", path)
    return path


def run_files(files):
    """An archive to be appended to the initramfs: (name, text) of one run."""
    return _cpio([(name, 0o100644, text.encode()) for name, text in files])


def guest_kernel(cache):
    """The newest kernel in the cache; fetched when there is none."""

    def cached():
        return sorted(glob.glob(os.path.join(cache, "linux-image-*", "complete")), key=os.path.getmtime)

    if not cached():
        _fetch(cache)
    return GuestKernel(os.path.dirname(cached()[-1]))
