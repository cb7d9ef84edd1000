"""The command line: ``python -m dev.cluster build | up | add | down | status | env | exec | load-image``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from dev.cluster import clusters, instance
from dev.cluster.errors import ClusterError
from dev.cluster.progress import say


def main() -> int:
    """Run one command; an error is a sentence on standard error and exit code 1."""
    arguments = _parser().parse_args()
    try:
        code: int = arguments.run(arguments)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dev.cluster", description="A real Kubernetes on this machine."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start a cluster and wait until it is ready")
    up.add_argument("--kind", choices=clusters.get_args(clusters.Kind), default="node")
    up.add_argument("--kubeconfig", type=Path, help="of an external cluster; default: $KUBECONFIG")
    up.add_argument("--gateway-url", help="of an external cluster; default: $GATEWAY_URL")
    up.add_argument("--prometheus-url", help="of an external cluster; default: $PROMETHEUS_URL")
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="stop a cluster and remove everything it left")
    down.add_argument("--all", action="store_true", help="every cluster of this user")
    down.set_defaults(run=_down)

    for name, run, text in (
        ("status", _status, "what runs, and what was restarted"),
        ("env", _env, 'print settings for a shell: eval "$(python -m dev.cluster env)"'),
    ):
        commands.add_parser(name, help=text).set_defaults(run=run)

    add = commands.add_parser("add", help="give a running node more than it starts with")
    add.add_argument("what", choices=("contour", "metrics-server"))
    add.set_defaults(run=_add)

    run_inside = commands.add_parser(
        "exec", help="run a command with the cluster's settings, inside a node's network"
    )
    run_inside.set_defaults(run=_exec)
    load = commands.add_parser("load-image", help="make a docker-archive known to the node")
    load.add_argument("archive", type=Path)
    load.set_defaults(run=_load_image)
    build = commands.add_parser("build", help="build or fetch everything a cluster needs, ahead of time")
    build.add_argument("--kind", choices=("node", "control-plane"), default="node")
    build.set_defaults(run=_build)

    for name, command in commands.choices.items():
        if name != "build":
            command.add_argument("--name", default=clusters.DEFAULT_NAME, help="default: %(default)s")
    run_inside.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    return parser


def _up(arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    cluster = clusters.up(
        arguments.name,
        arguments.kind,
        kubeconfig=arguments.kubeconfig,
        gateway_url=arguments.gateway_url,
        prometheus_url=arguments.prometheus_url,
    )
    say(f"{time.monotonic() - started:7.1f} s  cluster {cluster.name} is ready")
    return _print_settings(cluster)


def _down(arguments: argparse.Namespace) -> int:
    names = [one.name for one in instance.instances()] if arguments.all else [arguments.name]
    for name in names:
        started = time.monotonic()
        clusters.down(name)
        say(f"{time.monotonic() - started:7.1f} s  cluster {name} is gone")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    found = clusters.status(arguments.name)
    if not found["access"]:
        print(f"cluster {arguments.name}: not started")
        return 1
    state = "running" if found["running"] else "not running"
    print(f"cluster {arguments.name} ({found['access']['kind']}): {state}")
    for name, component in found["components"].items():
        print(f"  {name:<25} restarts {component['restarts']}")
    _print_settings(clusters.attach(arguments.name))
    return 0 if found["running"] or found["access"]["kind"] == "external" else 1


def _env(arguments: argparse.Namespace) -> int:
    return _print_settings(clusters.attach(arguments.name))


def _add(arguments: argparse.Namespace) -> int:
    cluster = clusters.attach(arguments.name)
    started = time.monotonic()
    if arguments.what == "contour":
        gateway = cluster.add_gateway("contour")
        print(f"export CONTOUR_URL='{gateway.url}'")
    else:
        cluster.add_metrics_server()
    say(f"{time.monotonic() - started:7.1f} s  {arguments.what} is ready")
    return 0


def _exec(arguments: argparse.Namespace) -> int:
    cluster = clusters.attach(arguments.name)
    command = [word for index, word in enumerate(arguments.command) if index or word != "--"]
    if not command:
        raise ClusterError("exec needs a command: python -m dev.cluster exec -- kubectl get pods")
    environment = os.environ | _settings(cluster)
    environment["PATH"] = f"{cluster.kubectl_path.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    if cluster.kind == "node":
        from dev.cluster import node  # noqa: PLC0415  # needs Linux, the rest does not

        command = [*node.enter(instance.Instance(cluster.name)), *command]
        environment["KUBECONFIG"] = str(node.inner_kubeconfig(instance.Instance(cluster.name)))
    os.execvpe(command[0], command, environment)  # noqa: S606  # without a shell is the point


def _load_image(arguments: argparse.Namespace) -> int:
    clusters.attach(arguments.name).load_image(arguments.archive)
    return 0


def _build(arguments: argparse.Namespace) -> int:
    clusters.prepare(arguments.kind)
    return 0


def _settings(cluster: clusters.Cluster) -> dict[str, str]:
    found = {
        "KUBECONFIG": str(cluster.kubeconfig),
        "GATEWAY_URL": cluster.gateway_url,
        "PROMETHEUS_URL": cluster.prometheus_url,
    }
    return {name: value for name, value in found.items() if value}


def _print_settings(cluster: clusters.Cluster) -> int:
    for name, value in _settings(cluster).items():
        print(f"export {name}='{value}'")
    return 0


if __name__ == "__main__":
    sys.exit(main())
