"""One worker per pod: looks, decides (`sync.plan`), acts, reports; then sleeps until something happens.

What takes time (a start, a stop, mounting) runs as a job of its own, at most one per container, so that the worker always
hears what is new. A worker ends when its pod is gone from the API or the manifest folder and nothing of it is left here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from api import resources, timestamp
from api.errors import ApiError, Conflict, NotFound
from api.types import Object
from client.backoff import Backoff as Retry
from client.clock import Clock
from client.rest import ApiClient
from kubelet import environment, handlers, last_words, podspec, status, sync
from kubelet.backoff import Backoff
from kubelet.handlers import Target
from kubelet.jobs import PRUNE, RELEASE, SANDBOX, VOLUMES, Jobs, stop_key
from kubelet.network import NetworkFault
from kubelet.probes import Probes
from kubelet.references import References
from kubelet.resources import Capacity
from kubelet.runtime import POD_IP, ContainerState, Runtime, RuntimeFault
from kubelet.sandbox import Sandboxes
from kubelet.settings import Settings
from kubelet.starter import Place, Starter
from kubelet.status_manager import StatusManager
from kubelet.stopper import Deadline, Stopper
from kubelet.store import ContainerStore
from kubelet.sync import Kill, Plan, PodView, Start
from kubelet.volumes.manager import VolumeManager, VolumeSet, keyed_references
from kubelet.volumes.paths import PodPaths
from kubelet.volumes.payload import VolumeFault

_LOOKUP_SECONDS = 30.0
_KEPT_ATTEMPTS = 2
Say = Callable[[Object, str, str, str, str], None]
"""(pod, event type, reason, message, field path)."""


@dataclass(frozen=True, slots=True)
class Kit:
    """What all workers of a node share. `wall` gives seconds since 1970."""

    runtime: Runtime
    store: ContainerStore
    sandboxes: Sandboxes
    starter: Starter
    stopper: Stopper
    volumes: VolumeManager
    references: References
    statuses: StatusManager
    client: ApiClient
    settings: Settings
    clock: Clock
    wall: Callable[[], float]
    capacity: Callable[[], Capacity]
    say: Say


class PodWorker:
    """Runs one pod. `update` and `wake` may be called at any time; `run` is the worker's life."""

    def __init__(self, kit: Kit, pod: Object, mirror: Callable[[], Object | None] | None = None) -> None:
        """`mirror` gives the API's object of a static pod; without it the pod itself is the API's."""
        self.pod, self.uid = pod, pod["metadata"]["uid"]
        self._kit, self._mirror = kit, mirror
        self._wake = asyncio.Event()
        name = f"{pod['metadata'].get('namespace')}/{pod['metadata']['name']}"
        self._jobs = Jobs(self.wake, kit.wall, name)
        self._messages: dict[str, str] = {}
        self._doomed: dict[str, str] = {}
        self._stopping: set[str] = set()
        self._backoff = Backoff()
        self._volumes: VolumeSet | None = None
        self._stale = True
        self._removed = False
        self._failure: tuple[str, str] | None = None
        self._rejected: tuple[str, str] | None = None
        self._over = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        self._closed = self._over
        """The final status is the server's already: nothing more to report."""
        self._released = False
        self._deadline: Deadline | None = None
        self._last: Object | None = None
        self._log = structlog.get_logger("pod").bind(pod=name)
        self._probes = Probes(self._probe, kit.clock, self.wake, self._tell)

    # --- what others call -------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look again soon."""
        self._wake.set()

    def update(self, pod: Object) -> None:
        """Take the pod's newest form."""
        if self._deadline and podspec.grace_period(pod) < podspec.grace_period(self.pod):
            self._deadline.shorten(podspec.grace_period(pod))
        meta, old = pod["metadata"], self.pod["metadata"]
        if pod["spec"] != self.pod["spec"] or any(meta.get(k) != old.get(k) for k in ("labels", "annotations")):
            self._stale = True
            self._jobs.retry_all()
        self.pod = pod
        self.wake()

    def refresh(self) -> None:
        """Something the pod refers to has changed: volumes are brought up to date, held containers tried again."""
        self._stale = True
        self._jobs.retry_all()
        self.wake()

    def remove(self) -> None:
        """The pod is gone from where it came from: stop it and end."""
        self._removed = True
        self.wake()

    def reject(self, reason: str, message: str) -> None:
        """The node does not admit the pod; nothing of it was or will be started."""
        self._rejected = (reason, message)
        self._over = True
        self._say("Warning", reason, message)

    @property
    def is_ending(self) -> bool:
        """Whether the pod is to be stopped for good."""
        return self._removed or bool(self.pod["metadata"].get("deletionTimestamp"))

    @property
    def is_over(self) -> bool:
        """Whether the pod's phase is final."""
        return self._over

    @property
    def status(self) -> Object | None:
        """The status last built."""
        return self._last

    def ips(self) -> list[str]:
        """The pod's addresses, as far as it has a sandbox."""
        if podspec.is_host_network(self.pod):
            return list(self._kit.settings.node_ips)
        sandbox = self._sandbox()
        address = sandbox.labels.get(POD_IP, "") if sandbox else ""
        return [address] if address else []

    # --- life -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until nothing of the pod is left."""
        try:
            while True:
                self._wake.clear()
                wake_at = await self._sync()
                if self._is_finished():
                    break
                await self._sleep(wake_at)
            await self._finish()
        finally:
            self._probes.close()
            self._jobs.cancel()
            self._kit.references.want(self.uid, ())

    async def _sleep(self, wake_at: float | None) -> None:
        timeout = None if wake_at is None else max(0.0, wake_at - self._kit.wall())
        try:
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _sync(self) -> float | None:
        self._follow_references()
        await self._read_last_words()
        self._follow_probes()
        view = self._view()
        plan = self._decide(view)
        self._act(view, plan)
        self._report(view, plan)
        self._prune()
        return self._next(plan)

    def _decide(self, view: PodView) -> Plan:
        if not (self.is_ending or self._over or self._failure):
            plan = sync.plan(view, self._backoff)
            if plan.failure:
                self._failure = plan.failure
                self._say("Normal", *plan.failure)
            if not plan.over:
                return plan
        plan = Plan(over=True, initialized=sync.is_initialized(view))
        plan.kills = sync.kills_in_order(view, "Stopping container {}")
        plan.sandbox = "keep" if view.running() or self._jobs else "drop"
        return plan

    def _next(self, plan: Plan) -> float | None:
        moments = [plan.wake_at] if plan.wake_at is not None else []
        if self._volumes and self._volumes.renew_at and not self.is_ending and not self._over:
            moments.append(self._volumes.renew_at)
            if self._volumes.renew_at <= self._kit.wall():
                self._stale = True
                self._start_volumes()
                return None
        for key in (RELEASE if plan.over else VOLUMES, *(stop_key(kill.name) for kill in plan.kills)):
            if self._jobs.is_held(key):
                moments.append(self._jobs.holds[key].until)
        return min(moments, default=None)

    # --- seeing -----------------------------------------------------------------------------------------------------

    def _states(self) -> list[ContainerState]:
        return self._kit.store.pod(self.uid)

    def _sandbox(self) -> ContainerState | None:
        found = [s for s in self._states() if s.is_sandbox]
        return max(found, key=lambda s: (s.phase == "running", s.created_at), default=None)

    def _view(self) -> PodView:
        containers: dict[str, list[ContainerState]] = {}
        for state in self._states():
            if not state.is_sandbox:
                containers.setdefault(state.container, []).append(state)
        for states in containers.values():
            states.sort(key=lambda s: s.attempt, reverse=True)
        running = [s for states in containers.values() for s in states if s.phase == "running"]
        sandbox = self._sandbox()
        doomed = {s.id: text for s in running if (text := self._doomed.get(s.id) or self._probes.failure(s.id))}
        return PodView(
            pod=self.pod,
            sandbox=sandbox,
            containers=containers,
            wired=sandbox is not None and self._kit.sandboxes.is_wired(sandbox.id),
            busy=self._jobs.keys(),
            started=frozenset(
                s.id for s in running if self._jobs.kind(s.container) != "start" and self._probes.is_started(s.id)
            ),
            unready=frozenset(s.id for s in running if not self._probes.is_ready(s.id)),
            doomed=doomed,
            holds=self._jobs.holds,
            messages=self._messages,
            now=self._kit.wall(),
        )

    async def _read_last_words(self) -> None:
        """Read the termination message of every container that has just ended."""
        paths = PodPaths(self._kit.settings.root, self.uid)
        for state in self._states():
            if state.phase == "exited" and not state.is_sandbox and state.id not in self._messages:
                container = podspec.find_container(self.pod, state.container) or {}
                log = paths.termination_log(state.container, state.attempt)
                self._messages[state.id] = await last_words.read(self._kit.runtime, state, container, log)

    def _follow_references(self) -> bool:
        """Follow everything the pod is known to refer to; whether something of it has not been looked up yet."""
        if self._over or self._removed or self._mirror:
            return False
        space = self.pod["metadata"]["namespace"]
        wanted = keyed_references(space, environment.references(self.pod)) | self._kit.volumes.references(self.pod)
        self._kit.references.want(self.uid, wanted)
        return not self._kit.references.is_known(self.uid)

    def _follow_probes(self) -> None:
        if self.is_ending:
            return
        address = next(iter(self.ips()), "127.0.0.1")
        began: dict[str, float] = {}
        targets = []
        for state in self._states():
            container = podspec.find_container(self.pod, state.container)
            if container and state.phase == "running" and state.container not in self._jobs:
                targets.append(Target(state.id, container, address))
                began[state.id] = sync.seconds(state.started_at)
        self._probes.follow(targets, lambda target: max(0.0, self._kit.wall() - began[target.container_id]))

    # --- acting -----------------------------------------------------------------------------------------------------

    def _act(self, view: PodView, plan: Plan) -> None:
        ending = self.is_ending or plan.over
        if not ending:
            self._start_volumes()
            if plan.sandbox == "create" and SANDBOX not in self._jobs:
                self._jobs.start(SANDBOX, "sandbox", self._make_sandbox(view.sandbox))
        elif self._deadline is None and (self.is_ending or self._failure):
            self._deadline = Deadline(self._kit.clock, podspec.grace_period(self.pod))
        for kill in plan.kills:
            if kill.name not in self._jobs and not self._jobs.is_held(stop_key(kill.name)):
                self._jobs.start(kill.name, "stop", self._stop(kill, ending), stop_key(kill.name))
        if self._volumes is not None and not ending:
            for start in plan.starts:
                if start.name not in self._jobs:
                    self._jobs.start(start.name, "start", self._start(start))
        if (
            plan.over
            and plan.sandbox == "drop"
            and not self._released
            and not self._jobs
            and not self._jobs.is_held(RELEASE)
        ):
            self._jobs.start(RELEASE, "release", self._release())

    def _start_volumes(self) -> None:
        waiting = self._jobs.is_held(VOLUMES) and not self._stale
        if not waiting and (self._stale or self._volumes is None) and VOLUMES not in self._jobs:
            self._jobs.start(VOLUMES, "volumes", self._mount())

    async def _mount(self) -> None:
        self._stale = False
        try:
            # A claim names a volume: as long as lookups lead to further ones.
            while self._follow_references():
                await self._kit.references.known(self.uid, _LOOKUP_SECONDS)
            self._volumes = await self._kit.volumes.setup(self.pod)
        except TimeoutError as error:
            raise VolumeFault("timed out looking up what the pod refers to") from error
        except VolumeFault as error:
            self._say("Warning", "FailedMount", str(error))
            raise
        self._jobs.clear(VOLUMES)

    async def _make_sandbox(self, old: ContainerState | None) -> None:
        try:
            if old is not None:
                self._say("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
                await self._kit.sandboxes.remove(old)
            await self._kit.sandboxes.create(self.pod)
        except (RuntimeFault, NetworkFault) as error:
            self._say("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            raise
        self._jobs.clear(SANDBOX)

    async def _start(self, start: Start) -> None:
        container = podspec.find_container(self.pod, start.name)
        sandbox, volumes = self._sandbox(), self._volumes
        if container is None or sandbox is None or volumes is None:
            return
        place = Place(self.pod, sandbox, volumes.volumes, self.ips())
        state = await self._kit.starter.start(
            place, container, start.attempt, lambda kind, reason, text: self._tell(container, kind, reason, text)
        )
        if start.restart:
            self._backoff.record(start.name, self._kit.wall())
        self._jobs.clear(start.name)
        hook = (container.get("lifecycle") or {}).get("postStart")
        if hook and state.phase == "running":
            await self._post_start(hook, container, state)

    async def _post_start(self, hook: Object, container: Object, state: ContainerState) -> None:
        address = next(iter(self.ips()), "127.0.0.1")
        run = asyncio.ensure_future(handlers.run(self._kit.runtime, hook, Target(state.id, container, address), 3600.0))
        ended = asyncio.ensure_future(self._kit.store.exited(state.id, None))
        try:
            await asyncio.wait((run, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            if not run.done():
                run.cancel()
        if run.done() and not run.cancelled() and not run.result().ok:
            text = f"PostStartHook failed: {run.result().message}"
            self._tell(container, "Warning", "FailedPostStartHook", text)
            self._doomed[state.id] = f"FailedPostStartHook: {text}"

    async def _stop(self, kill: Kill, ending: bool) -> None:
        state = self._kit.store.get(kill.container_id)
        if state is None:
            return
        container = podspec.find_container(self.pod, kill.name) or {"name": kill.name}
        if kill.container_id not in self._stopping:
            self._stopping.add(kill.container_id)
            self._tell(container, "Normal", "Killing", kill.message)
        own = self._probes.grace(kill.container_id)
        self._probes.stop(kill.container_id)
        if ending and self._deadline:
            deadline = self._deadline
        else:
            deadline = Deadline(self._kit.clock, podspec.grace_period(self.pod) if own is None else own)
        address = next(iter(self.ips()), "127.0.0.1")
        await self._kit.stopper.stop(state, Target(state.id, container, address), deadline, self._tell)

    async def _release(self) -> None:
        """Nothing runs any more: give back the sandbox, the network and the volumes; the containers stay for their logs."""
        for state in self._states():
            if state.is_sandbox:
                await self._kit.sandboxes.remove(state)
        await self._kit.volumes.teardown(self.uid)
        self._released = True

    def _prune(self) -> None:
        """Keep the last attempts of each container; older ones are only old logs."""
        if PRUNE in self._jobs or self.is_ending:
            return
        by_name: dict[str, list[ContainerState]] = {}
        for state in self._states():
            if not state.is_sandbox:
                by_name.setdefault(state.container, []).append(state)
        old = [
            s
            for states in by_name.values()
            for s in sorted(states, key=lambda s: s.attempt, reverse=True)[_KEPT_ATTEMPTS:]
            if s.phase == "exited"
        ]
        if old:
            self._jobs.start(PRUNE, "prune", self._remove_all(old))

    async def _remove_all(self, states: list[ContainerState]) -> None:
        for state in states:
            await self._kit.runtime.remove(state.id)
            self._kit.store.forget(state.id)
            self._messages.pop(state.id, None)
            self._doomed.pop(state.id, None)
            self._stopping.discard(state.id)

    # --- telling ----------------------------------------------------------------------------------------------------

    async def _probe(self, probe: Object, target: Target, timeout: float) -> handlers.Outcome:
        return await handlers.run(self._kit.runtime, probe, target, timeout)

    def _tell(self, container: Object, kind: str, reason: str, message: str) -> None:
        self._kit.say(self.pod, kind, reason, message, f"spec.containers{{{container['name']}}}")

    def _say(self, kind: str, reason: str, message: str) -> None:
        self._kit.say(self.pod, kind, reason, message, "")

    def _report(self, view: PodView, plan: Plan) -> None:
        if self._closed or self._removed:
            return
        target = self._mirror() if self._mirror else self.pod
        if self._rejected:
            new = status.rejected(self.pod, *self._rejected, now=(self._last or {}).get("startTime") or timestamp.now())
        else:
            idle = not view.running() and not (self._jobs.keys() - {VOLUMES, RELEASE, PRUNE})
            around = status.Surroundings(
                node_ips=self._kit.settings.node_ips,
                pod_ips=tuple(self.ips()),
                failure=self._failure if idle else None,
                terminating=idle and plan.over,
                last=self._last,
            )
            new = status.build(view, plan, around)
        self._last = new
        if status.finished(new):
            self._over = True
        if target is not None:
            self._kit.statuses.set(target, new)

    def _is_finished(self) -> bool:
        idle = not self._jobs and not any(s.phase == "running" for s in self._states())
        return self.is_ending and idle and self._released

    async def _finish(self) -> None:
        """The last steps of a deleted pod: the server learns its end, then that it is gone."""
        await self._kit.statuses.flush(self.uid)
        await self._remove_all(self._states())
        if not self._removed and self._mirror is None:
            await self._delete()
        self._kit.statuses.forget(self.uid)

    async def _delete(self) -> None:
        meta, retry = self.pod["metadata"], Retry(first=0.2, longest=10.0)
        while not self._removed:
            try:
                await self._kit.client.delete(
                    resources.PODS, meta["name"], meta["namespace"], grace_period_seconds=0, uid=self.uid
                )
                return
            except (NotFound, Conflict):
                return
            except ApiError as error:
                self._log.warning("pod not deleted yet", error=error.message)
                await self._kit.clock.sleep(retry.next())
