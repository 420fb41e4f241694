"""What systemd is to a service of Type=notify with a descriptor store: it starts the daemon with $NOTIFY_SOCKET and what
it holds from descriptor 3 on, and keeps what the daemon stores. sd_notify(3), sd_pid_notify_with_fds(3), sd_listen_fds(3)."""

import array
import fcntl
import os
import socket
import threading

from nettest import wait_until


class FakeStore:
    """One service in a namespace. Descriptors stay here, so a device outlives its daemon, until close()."""

    def __init__(self, namespace):
        self.ns = namespace
        self.path = os.path.join(namespace.folder, "notify")
        self.held = []  # (name, descriptor), in the order in which they came
        self.states = []
        self.lock = threading.Lock()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self):
        while True:
            text, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(253 * 4))
            if not text:
                return
            fds = array.array("i")
            for level, kind, payload in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(payload[:len(payload) - len(payload) % fds.itemsize])
            for fd in fds:
                os.set_inheritable(fd, False)
            lines = dict(line.partition("=")[::2] for line in text.decode().split("\n") if line)
            with self.lock:
                if "FDSTOREREMOVE" in lines:
                    self._forget(lines.get("FDNAME"))
                self.held += [(lines.get("FDNAME", "stored"), fd) for fd in fds]
                self.states.append(lines)

    def _forget(self, name):
        for held_name, fd in self.held:
            if name in (None, held_name):
                os.close(fd)
        self.held = [] if name is None else [entry for entry in self.held if entry[0] != name]

    def names(self):
        with self.lock:
            return sorted({name for name, _ in self.held})

    def was_told(self, key):
        with self.lock:
            return sum(key in lines for lines in self.states)

    def start(self, *command, log="greywired"):
        """Starts the daemon as systemd would; returns once it said READY=1."""
        ready = self.was_told("READY")
        with self.lock:
            given = [(name, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 500)) for name, fd in self.held]

        def pass_on():
            for i, (_, fd) in enumerate(given):
                os.dup2(fd, 3 + i)

        environment = {"NOTIFY_SOCKET": self.path}
        if given:
            environment |= {"LISTEN_FDS": str(len(given)), "LISTEN_FDNAMES": ":".join(name for name, _ in given)}
        process = self.ns.start("sh", "-c", 'export LISTEN_PID=$$; exec "$@"', "sh", *command, log=log, env=environment,
                                before_exec=pass_on)
        for _, fd in given:
            os.close(fd)
        wait_until("READY=1", lambda: self.was_told("READY") > ready or not process.alive(), 15, 0.01)
        return process

    def close(self):
        """As when the service is stopped and not started again."""
        self.socket.shutdown(socket.SHUT_RDWR)  # else the thread stays in recvmsg(), on a number that is soon another socket's
        self.thread.join()
        self._forget(None)
        self.socket.close()
        os.unlink(self.path)
