"""The columns of nodes, namespaces, configuration, events, quota, access control and what administers a cluster."""

from collections.abc import Iterable
from datetime import datetime

from api.columns.cells import AGE, CREATED_AT, NAME, NONE, UNKNOWN, UNSET, Column, at, dig, duration, joined, of, since
from api.meta import get_condition
from api.types import Object

_ROLE = "node-role.kubernetes.io/"


def _node_status(node: Object) -> str:
    ready = get_condition(node, "Ready")
    word = "Unknown" if ready is None else ("Ready" if ready.get("status") == "True" else "NotReady")
    return f"{word},SchedulingDisabled" if dig(node, "spec", "unschedulable") else word


def _roles(node: Object) -> str:
    labels = node["metadata"].get("labels") or {}
    roles = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE) and key != _ROLE}
    if labels.get("kubernetes.io/role"):
        roles.add(labels["kubernetes.io/role"])
    return joined(sorted(roles))


def _address(node: Object, kind: str) -> str:
    found = (each["address"] for each in dig(node, "status", "addresses") or () if each.get("type") == kind)
    return str(next(found, NONE))


NODES = (
    NAME,
    Column("Status", of(_node_status)),
    Column("Roles", of(_roles)),
    AGE,
    Column("Version", at("status.nodeInfo.kubeletVersion")),
    Column("Internal-IP", of(lambda obj: _address(obj, "InternalIP")), wide=True),
    Column("External-IP", of(lambda obj: _address(obj, "ExternalIP")), wide=True),
    Column("OS-Image", at("status.nodeInfo.osImage", UNKNOWN), wide=True),
    Column("Kernel-Version", at("status.nodeInfo.kernelVersion", UNKNOWN), wide=True),
    Column("Container-Runtime", at("status.nodeInfo.containerRuntimeVersion", UNKNOWN), wide=True),
)
NAMESPACES = (NAME, Column("Status", at("status.phase")), AGE)
CONFIGMAPS = (
    NAME,
    Column("Data", of(lambda obj: len(obj.get("data") or ()) + len(obj.get("binaryData") or ())), type="integer"),
    AGE,
)
SECRETS = (
    NAME,
    Column("Type", at("type")),
    Column("Data", of(lambda obj: len(obj.get("data") or ())), type="integer"),
    AGE,
)
SERVICEACCOUNTS = (NAME, Column("Secrets", of(lambda obj: len(obj.get("secrets") or ())), type="integer"), AGE)
LEASES = (NAME, Column("Holder", at("spec.holderIdentity")), AGE)
PRIORITYCLASSES = (
    NAME,
    Column("Value", at("value", 0), type="integer"),
    Column("Global-Default", at("globalDefault", False), type="boolean"),
    AGE,
    Column("PreemptionPolicy", at("preemptionPolicy"), wide=True),
)
RUNTIMECLASSES = (NAME, Column("Handler", at("handler")), AGE)


def _amounts(obj: Object, limits: bool) -> str:
    hard, used = dig(obj, "status", "hard") or {}, dig(obj, "status", "used") or {}
    names = sorted(name for name in hard if name.startswith("limits.") == limits)
    return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)


RESOURCEQUOTAS = (
    NAME,
    Column("Request", of(lambda obj: _amounts(obj, False))),
    Column("Limit", of(lambda obj: _amounts(obj, True))),
    AGE,
)


def _first(event: Object) -> str | None:
    return event.get("firstTimestamp") or event.get("deprecatedFirstTimestamp") or event.get("eventTime")


def _last(event: Object) -> str | None:
    observed = dig(event, "series", "lastObservedTime")
    return observed or event.get("lastTimestamp") or event.get("deprecatedLastTimestamp") or _first(event)


def _object(event: Object) -> str:
    ref = event.get("involvedObject") or event.get("regarding") or {}
    return f"{str(ref.get('kind', '')).lower()}/{ref.get('name', '')}"


def _source(event: Object) -> str:
    source = event.get("source") or event.get("deprecatedSource") or {}
    component = source.get("component") or event.get("reportingComponent") or event.get("reportingController") or ""
    host = source.get("host") or event.get("reportingInstance") or ""
    return ", ".join(part for part in (component, host) if part)


def _subobject(event: Object) -> str:
    return str((event.get("involvedObject") or event.get("regarding") or {}).get("fieldPath") or "")


def _occurrences(event: Object) -> int:
    return int(dig(event, "series", "count") or event.get("count") or event.get("deprecatedCount") or 1)


def _last_seen(event: Object, present: datetime) -> str:
    return since(_last(event), present)


EVENTS = (
    Column("Last Seen", _last_seen),
    Column("Type", at("type")),
    Column("Reason", at("reason")),
    Column("Object", of(_object)),
    Column("Subobject", of(_subobject), wide=True),
    Column("Source", of(_source), wide=True),
    Column("Message", of(lambda obj: str(obj.get("message") or obj.get("note") or "").strip())),
    Column("First Seen", lambda obj, present: since(_first(obj), present), wide=True),
    Column("Count", of(_occurrences), wide=True, type="integer"),
    Column("Name", at("metadata.name"), wide=True, format="name"),
)


def _subjects(obj: Object, kind: str) -> Iterable[str]:
    for subject in obj.get("subjects") or ():
        if subject.get("kind") == kind:
            name = str(subject.get("name", ""))
            yield f"{subject.get('namespace', '')}/{name}" if kind == "ServiceAccount" else name


def _role(obj: Object) -> str:
    ref = obj.get("roleRef") or {}
    return f"{ref.get('kind', '')}/{ref.get('name', '')}"


ROLES = (NAME, CREATED_AT)
ROLEBINDINGS = (
    NAME,
    Column("Role", of(_role)),
    AGE,
    Column("Users", of(lambda obj: ", ".join(_subjects(obj, "User"))), wide=True),
    Column("Groups", of(lambda obj: ", ".join(_subjects(obj, "Group"))), wide=True),
    Column("ServiceAccounts", of(lambda obj: ", ".join(_subjects(obj, "ServiceAccount"))), wide=True),
)


def _csr_condition(obj: Object) -> str:
    words = [str(each.get("type")) for each in dig(obj, "status", "conditions") or ()]
    shown: list[str] = [word for word in ("Approved", "Denied", "Failed") if word in words] or ["Pending"]
    return ",".join([*shown, "Issued"] if dig(obj, "status", "certificate") else shown)


def _requested(obj: Object) -> str:
    seconds = dig(obj, "spec", "expirationSeconds")
    return NONE if seconds is None else duration(seconds)


CERTIFICATESIGNINGREQUESTS = (
    NAME,
    AGE,
    Column("SignerName", at("spec.signerName", NONE)),
    Column("Requestor", at("spec.username", NONE)),
    Column("RequestedDuration", of(_requested)),
    Column("Condition", of(_csr_condition)),
)
LIMITRANGES = (NAME, CREATED_AT)


def _available(obj: Object) -> str:
    condition = get_condition(obj, "Available")
    if condition is None:
        return "Unknown"
    return "True" if condition.get("status") == "True" else f"{condition.get('status')} ({condition.get('reason')})"


def _service(obj: Object) -> str:
    ref = dig(obj, "spec", "service")
    return f"{ref.get('namespace')}/{ref.get('name')}" if ref else "Local"


APISERVICES = (NAME, Column("Service", of(_service)), Column("Available", of(_available)), AGE)
WEBHOOKS = (NAME, Column("Webhooks", of(lambda obj: len(obj.get("webhooks") or ())), type="integer"), AGE)


def _param_kind(obj: Object) -> str:
    kind = dig(obj, "spec", "paramKind")
    return f"{kind.get('apiVersion')}/{kind.get('kind')}" if kind else UNSET


VALIDATINGADMISSIONPOLICIES = (
    NAME,
    Column("Validations", of(lambda obj: len(dig(obj, "spec", "validations") or ())), type="integer"),
    Column("ParamKind", of(_param_kind)),
    AGE,
)


def _param_ref(obj: Object) -> str:
    ref = dig(obj, "spec", "paramRef")
    if not ref:
        return UNSET
    return f"{ref.get('namespace') or '*'}/{ref.get('name') or '*'}"


VALIDATINGADMISSIONPOLICYBINDINGS = (
    NAME,
    Column("PolicyName", at("spec.policyName")),
    Column("ParamRef", of(_param_ref)),
    AGE,
)
FLOWSCHEMAS = (
    NAME,
    Column("PriorityLevel", at("spec.priorityLevelConfiguration.name")),
    Column("MatchingPrecedence", at("spec.matchingPrecedence", 0), type="integer"),
    Column("DistinguisherMethod", at("spec.distinguisherMethod.type", NONE)),
    AGE,
    Column("MissingPL", of(lambda obj: (get_condition(obj, "Dangling") or {}).get("status", "?"))),
)
PRIORITYLEVELS = (
    NAME,
    Column("Type", at("spec.type")),
    Column("NominalConcurrencyShares", at("spec.limited.nominalConcurrencyShares", NONE)),
    Column("Queues", at("spec.limited.limitResponse.queuing.queues", NONE)),
    Column("HandSize", at("spec.limited.limitResponse.queuing.handSize", NONE)),
    Column("QueueLengthLimit", at("spec.limited.limitResponse.queuing.queueLengthLimit", NONE)),
    AGE,
)


def _claim_state(obj: Object) -> str:
    states = []
    if obj["metadata"].get("deletionTimestamp"):
        states.append("deleted")
    allocated, reserved = dig(obj, "status", "allocation"), dig(obj, "status", "reservedFor")
    if allocated is None:
        states.append("pending")
    else:
        states += ["allocated", "reserved"] if reserved else ["allocated"]
    return ",".join(states)


RESOURCECLAIMS = (NAME, Column("State", of(_claim_state)), AGE)
NAME_AND_AGE = (NAME, AGE)
RESOURCESLICES = (
    NAME,
    Column("Node", at("spec.nodeName", NONE)),
    Column("Driver", at("spec.driver")),
    Column("Pool", at("spec.pool.name")),
    AGE,
)
