"""The demo agent's image: its code, the catalogue and locked dependencies on the cluster's Python base."""

from __future__ import annotations

from pathlib import Path

from dev.cluster.catalogue import app_image
from dev.cluster.images import Settings
from dev.demo.data import catalogue_file

IMAGE = "localhost/interlock-demo-agent:1"
FOLDER = "/app"
COMMAND = ("/usr/bin/python3", "-m", "agent")
USER = 65532
REQUIREMENTS = Path(__file__).resolve().parents[2] / "locks" / "demo-agent.txt"

_AGENT = Path(__file__).resolve().parent / "agent"


def files() -> dict[str, Path]:
    """What the image has in `/app`, by place. Raises `data.DataError` when there are no questions."""
    return {f"{FOLDER}/agent": _AGENT, f"{FOLDER}/catalogue.json": catalogue_file()}


def archive() -> Path:
    """The image as a docker-archive in the cache, for `Cluster.load_image`."""
    settings = Settings(command=COMMAND, user=f"{USER}:{USER}", directory=FOLDER)
    return app_image(IMAGE, requirements=REQUIREMENTS, files=files(), settings=settings)


if __name__ == "__main__":
    print(archive())
