"""Several labellers on one server: how long clicks wait to be stored, and to be seen in a mask.

    .venv/bin/python benchmarks/team_load.py [--labellers 8] [--projects 1] [--rate 2] [--seconds 60] [--json out.json]

Each labeller has a page open (a web socket of Streamlit, as a browser has one), follows the overlay of the image it
labels by the long poll, posts its clicks one by one at random moments, `rate` a second on average, and goes on to
another image after fifty. Reported are medians, 95th percentiles and the worst of two times: from a click until it is
acknowledged, and until an overlay that covers it has arrived; clicks that were covered by none when thirty seconds had
passed after the last are counted as waiting until then. Everybody begins when all first images are ready to be clicked
on, as the status line says. The load is made on the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import skimage.data
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.asyncio.client import connect

sys.path.insert(0, str(Path(__file__).parents[1]))

from fcnlab.lab import open_lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.projects.projects import create_project
from fcnlab.settings import Settings
from tests.browser.harness import Server, running_server

HW = (480, 640)
CLICKS_PER_IMAGE = 50
DRAINED_S = 30.0


@dataclass
class Times:
    """Seconds of every click; `n_points` of all projects at the end."""

    acknowledged: list[float] = field(default_factory=list)
    masks: list[float] = field(default_factory=list)
    unseen: int = 0


@dataclass
class Labeller:
    """One person in one tab."""

    name: str
    server: Server
    key: str
    project_id: int
    images: list[int]
    rng: np.random.Generator
    times: Times
    seq: int = 0
    revision: int = 0
    image: int = 0
    waiting: dict[int, float] = field(default_factory=dict)
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self, start: asyncio.Barrier, *, rate: float, seconds: float) -> None:
        """Label for so long, then wait for the last masks."""
        headers = {"Origin": self.server.url}
        limits = httpx.Limits(max_keepalive_connections=4)
        async with httpx.AsyncClient(base_url=self.server.url, timeout=60, limits=limits, headers=headers) as client:
            page = asyncio.create_task(self._page())
            self._turn_to(0)
            following = asyncio.create_task(self._follow(client, self.images[self.image]))
            await self.ready.wait()
            await start.wait()
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                await asyncio.sleep(float(self.rng.exponential(1 / rate)))
                if self.seq and self.seq % CLICKS_PER_IMAGE == 0 and not self.waiting:
                    following.cancel()
                    self._turn_to(self.image + 1)
                    following = asyncio.create_task(self._follow(client, self.images[self.image]))
                await self._click(client)
            drained = time.perf_counter() + DRAINED_S
            while self.waiting and time.perf_counter() < drained:
                await asyncio.sleep(0.05)
            self.times.unseen += len(self.waiting)
            self.times.masks += [time.perf_counter() - clicked for clicked in self.waiting.values()]
            following.cancel()
            page.cancel()

    def _turn_to(self, image: int) -> None:
        self.image, self.revision = image % len(self.images), -1

    async def _click(self, client: httpx.AsyncClient) -> None:
        self.seq += 1
        row, col = int(self.rng.integers(HW[0])), int(self.rng.integers(HW[1]))
        image_id = self.images[self.image]
        click = {"row": row, "col": col, "class_id": self.seq % 2}
        event = {"seq": self.seq, "kind": "add", "image_id": image_id, "payload": click}
        image = {"id": image_id, "revision": self.revision}
        body = {"client_id": f"tab-{self.name}", "log": [event], "labeller": self.name, "image": image}
        clicked = self.waiting[self.seq] = time.perf_counter()
        said = (await client.post(f"/fcnlab/{self.key}/events", json=body)).raise_for_status().json()
        self.times.acknowledged.append(time.perf_counter() - clicked)
        self.revision = said["revision"] if said["revision"] is not None else said["scene"]["revision"]

    async def _follow(self, client: httpx.AsyncClient, image_id: int) -> None:
        """The long poll of an image: every overlay covers what was clicked before it was begun."""
        after = status = 0
        while True:
            asked = {"after": after, "status": status, "mode": "mask", "client": f"tab-{self.name}"}
            answer = await client.get(f"/fcnlab/{self.key}/overlay/{image_id}", params=asked)
            meta = json.loads(answer.raise_for_status().headers["X-Fcnlab-Meta"])
            after, status = meta["overlay"], meta["status"]
            if meta["phase"] == "missing":  # it waits for clicks
                self.ready.set()
            now = time.perf_counter()
            for seq in [seq for seq in self.waiting if seq <= meta["covers"]]:
                self.times.masks.append(now - self.waiting.pop(seq))

    async def _page(self) -> None:
        """The page that the labeller has open: it asks once, and listens."""
        url = f"{self.server.url.replace('http', 'ws')}/_stcore/stream"
        message = BackMsg()
        message.rerun_script.query_string = f"project={self.project_id}&labeller={self.name}"
        async with connect(url, origin=self.server.url, subprotocols=["streamlit"], max_size=None) as socket:
            await socket.send(message.SerializeToString())
            async for _ in socket:
                pass


def make_projects(data_dir: Path, *, projects: int, images: int) -> list[tuple[int, str, list[int]]]:
    """Number, key and images of each project."""
    lab = open_lab(Settings(data_dir=data_dir, demo=False))
    base = cv2.resize(skimage.data.astronaut(), HW[::-1], interpolation=cv2.INTER_AREA)
    made = []
    for number in range(projects):
        project = create_project(lab, name=f"team {number}")
        pictures = [
            (f"{n:03}.png", cv2.imencode(".png", np.roll(base, (n * 7 + number, n * 13), (0, 1)))[1].tobytes())
            for n in range(images)
        ]
        ids = [int(step.image_id or 0) for step in import_files(lab, pictures, project_id=project.id)]
        made.append((project.id, project.key, ids))
    lab.close()
    return made


async def label(server: Server, made: list[tuple[int, str, list[int]]], options: argparse.Namespace) -> Times:
    """All labellers at once, each on images of its own."""
    times, each = Times(), options.images
    people = []
    for number in range(options.labellers):
        project_id, key, ids = made[number % len(made)]
        first = (number // len(made)) * each
        rng = np.random.default_rng(number)
        people.append(Labeller(f"labeller-{number}", server, key, project_id, ids[first : first + each], rng, times))
    start = asyncio.Barrier(len(people))
    await asyncio.gather(*(person.work(start, rate=options.rate, seconds=options.seconds) for person in people))
    return times


def in_figures(times: Times) -> dict[str, Any]:
    """Milliseconds: median, 95 % and worst."""
    figures: dict[str, Any] = {"clicks": len(times.acknowledged), "unseen": times.unseen}
    for name, values in (("acknowledged", times.acknowledged), ("mask", times.masks)):
        milliseconds = 1000 * np.array(values)
        figures[f"{name}_ms"] = [round(float(np.percentile(milliseconds, part))) for part in (50, 95, 100)]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labellers", type=int, default=8)
    parser.add_argument("--projects", type=int, default=1)
    parser.add_argument("--rate", type=float, default=2.0, help="clicks a second of each")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--images", type=int, default=4, help="of each labeller")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        in_each = options.images * -(-options.labellers // options.projects)
        made = make_projects(Path(folder), projects=options.projects, images=in_each)
        with running_server(Path(folder)) as server:
            figures = in_figures(asyncio.run(label(server, made, options)))
    print(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
