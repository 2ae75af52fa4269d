"""Every check, in the order of the report. A name is a promise: it is what `--ignore-preflight-errors` takes."""

from __future__ import annotations

from cloudctl.machine.preflight.checks import (
    clock,
    disk,
    engine,
    firewall,
    kernel,
    network,
    ports,
    programs,
    resources,
    server,
    system,
    virtual_ip,
)
from cloudctl.machine.preflight.finding import Check
from cloudctl.machine.settings import Role

ALL = "all"
_CONTROL_PLANE = frozenset({Role.CONTROL_PLANE})

# name, looks at, why it matters, remedy, function
CHECKS: tuple[Check, ...] = (
    Check(
        "Root", "run by root",
        "daemons, addresses, rules and mounts are root's",
        "`sudo cloudctl …`",
        system.root,
    ),
    Check(
        "Systemd", "systemd runs as process 1",
        "it starts the daemons, also after a reboot",
        "use a VM that boots systemd, or `cloudctl up` for a cluster on this machine alone",
        system.systemd,
    ),
    Check(
        "ExistingCluster", "no files of an earlier `init` or `join`",
        "keys and data of two clusters would mix",
        "`cloudctl reset`, or take another VM",
        system.existing_cluster,
    ),
    Check(
        "LocalCluster", "`cloudctl up` runs no cluster on this machine",
        "both need the same bridges, addresses and nftables table",
        "`cloudctl down` with that cluster's `--state`",
        system.local_cluster,
    ),
    Check(
        "OtherKubernetes", "no kubeadm, k3s, RKE2, MicroK8s or k0s",
        "it takes the same ports, and its rules catch the addresses of Services",
        "remove it with its own command (`kubeadm reset`, `k3s-uninstall.sh`, `snap remove microk8s`, `k0s reset`)",
        system.other_kubernetes,
    ),
    Check(
        "Programs", "the programs that the role's daemons start",
        "a daemon fails when it first needs one",
        "`apt-get install` of the packages named",
        programs.programs,
    ),
    Check(
        "EtcdVersion", "etcd 3.4 or newer",
        "older members cannot join as learners",
        "install a newer etcd-server",
        programs.etcd_version, roles=_CONTROL_PLANE,
    ),
    Check(
        "Overlayfs", "the kernel has overlay filesystems",
        "Docker falls back to copying whole images",
        "`modprobe overlay`, or a kernel that has it",
        kernel.overlayfs,
    ),
    Check(
        "Bridges", "bridges and veth pairs can be made (tried in a network namespace of its own)",
        "pods hang on them",
        "`modprobe -a bridge veth`, or a kernel that has them",
        kernel.bridges, needs_root=True,
    ),
    Check(
        "Nftables", "maps, NAT, masquerading and connection tracking in nftables (tried likewise)",
        "Services are made of them",
        "`modprobe -a nf_tables nft_chain_nat nft_masq nft_ct nft_reject_ipv4`, or a kernel that has them",
        kernel.nftables, needs_root=True,
    ),
    Check(
        "BridgeNetfilter", "`br_netfilter` is loaded or can be",
        "a pod gets no answer from a Service whose pod is on the same node",
        "`modprobe br_netfilter && echo br_netfilter > /etc/modules-load.d/cloudlet.conf`",
        kernel.bridge_netfilter,
    ),
    Check(
        "IpForward", "`net.ipv4.ip_forward` and `route_localnet` are 1 or can be set",
        "pods' packets end at the node",
        "make /proc/sys writable",
        kernel.forwarding, needs_root=True,
    ),
    Check(
        "Cgroups", "cgroup v1 or v2 with the controllers cpu, memory and pids",
        "limits of pods cannot be held",
        "switch them on in the kernel's command line and reboot",
        kernel.cgroups,
    ),
    Check(
        "LoopDevices", "loop devices and ext4",
        "PersistentVolumes of the class `standard` cannot be made",
        "`modprobe -a loop ext4`",
        kernel.loop_devices, roles=_CONTROL_PLANE,
    ),
    Check(
        "Docker", "Docker is installed and answers",
        "containers run on it",
        "`systemctl enable --now docker`, and see `journalctl -u docker`",
        engine.docker,
    ),
    Check(
        "DockerVersion", "Docker 20.10 or newer",
        "older ones do not know what the kubelet asks for",
        "upgrade docker.io (or docker-ce)",
        engine.version,
    ),
    Check(
        "DockerSetup", "Docker is neither rootless nor the snap package",
        "it does not see the files and network namespaces that the kubelet prepares",
        "install the system's Docker",
        engine.setup,
    ),
    Check(
        "DockerStorage", "storage driver overlay2, overlayfs, btrfs, zfs or fuse-overlayfs",
        "other drivers are slow and fill the disk",
        'set `"storage-driver": "overlay2"` in /etc/docker/daemon.json and restart Docker (its images are pulled anew)',
        engine.storage,
    ),
    Check(
        "DockerLimits", "Docker can limit memory, CPU and processes",
        "containers with limits are not started, or not limited",
        "switch the cgroup controllers on in the kernel's command line and reboot",
        engine.limits,
    ),
    Check(
        "DockerCgroupDriver", "not cgroupfs beside systemd on cgroup v2",
        "two managers of one tree undo each other's settings, for instance at `systemctl daemon-reload`",
        'set `"exec-opts": ["native.cgroupdriver=systemd"]` in /etc/docker/daemon.json and restart Docker',
        engine.cgroup_driver,
    ),
    Check(
        "DockerAtBoot", "Docker's unit is enabled",
        "after a reboot the node has no containers",
        "`systemctl enable docker`",
        engine.at_boot,
    ),
    Check(
        "Ports", "6443, 2379, 2380 (control plane) and 10250 are free",
        "a daemon cannot listen",
        "stop that program",
        ports.ports,
    ),
    Check(
        "DnsPort", "nobody listens on port 53 of all addresses",
        "the cluster DNS cannot listen on its address, so names of Services do not resolve",
        "have it listen on its own addresses alone (dnsmasq: `bind-interfaces`)",
        ports.dns_port,
    ),
    Check(
        "Server", "the first server takes a connection and answers HTTPS within 1.5 s",
        "a join would wait for it in vain",
        "start it, or open its port",
        server.reachable,
    ),
    Check(
        "ServerRoute", "it is reached from the address that the node announces",
        "the others would call an address where this node is not",
        "`--address` with the address that the server sees",
        server.route,
    ),
    Check(
        "ServerEtcd", "the first server's port 2380 takes a connection",
        "a further control plane's etcd must reach the first one's",
        "open ports 2379 and 2380 between control planes",
        server.etcd_peers, roles=_CONTROL_PLANE,
    ),
    Check(
        "ClockOffset", "the clock is within 2 s of the first server's (an error from 60 s)",
        "certificates are not valid yet, tokens expire early, leases are lost",
        "`timedatectl set-ntp true`, or `chronyc makestep`",
        clock.clock_offset,
    ),
    Check(
        "ClockSync", "the kernel's clock is being corrected (`maxerror` of adjtimex(2) below 16 s)",
        "it drifts away from the other nodes'",
        "`apt-get install chrony`, or `timedatectl set-ntp true`",
        clock.clock_synchronised,
    ),
    Check(
        "FsyncLatency", "99% of small writes with fdatasync are on etcd's disk within 10 ms (200 of them, or 1 s)",
        "etcd loses its leader when the disk is slow, and every write waits for it",
        "put /var/lib/cloudlet/etcd on an SSD that nobody else is busy on",
        disk.fsync_latency, roles=_CONTROL_PLANE, alone=True,
    ),
    Check(
        "FreeSpace", "free bytes and inodes for data, Docker and /tmp",
        "a full disk stops etcd, pulls and pods",
        "`docker system prune`, `journalctl --vacuum-size=200M`, or a larger disk",
        disk.free_space,
    ),
    Check(
        "DataFilesystem", "/var/lib/cloudlet is neither on the network nor in memory",
        "etcd needs locks and syncs that hold, and data that a reboot leaves",
        "mount a local disk there",
        disk.data_filesystem,
    ),
    Check(
        "Memory", "1 GiB available for a control plane, 512 MiB for a worker (errors below 256 and 128)",
        "the kernel kills daemons or pods",
        "give the VM more memory",
        resources.memory,
    ),
    Check(
        "Cores", "two processors or more",
        "etcd, API server and pods wait for each other",
        "give the VM a second one",
        resources.cores, roles=_CONTROL_PLANE,
    ),
    Check(
        "Swap", "no swap",
        "memory that is swapped out is slow and is not counted to a pod's limit",
        "`swapoff -a`, and take it out of /etc/fstab",
        resources.swap,
    ),
    Check(
        "Inotify", "`fs.inotify.max_user_instances` of 512 and `max_user_watches` of 65536",
        "all containers of one user share them; beyond, programs say `too many open files` or miss changes",
        "raise them in /etc/sysctl.d",
        resources.inotify,
    ),
    Check(
        "NodeName", "the node's name is one of RFC 1123 and not `localhost`",
        "the API server refuses it, or the next machine has it as well",
        "`hostnamectl set-hostname NAME`, or `--node-name NAME`",
        network.node_name_valid,
    ),
    Check(
        "HostnameResolves", "the host name resolves to this machine",
        "programs that look themselves up wait or find another machine",
        "put `127.0.1.1 NAME` into /etc/hosts",
        network.hostname_resolves,
    ),
    Check(
        "Address", "the node's address is this machine's, reachable, and not one of several equally good ones",
        "other nodes would not find this one, or not after a reboot",
        "`--address ADDRESS`",
        network.address,
    ),
    Check(
        "VirtualIp", "keepalived is there; the virtual IP is a free address of the machines' network (first control plane)",
        "it would not follow a control plane that works, or lead to another machine",
        "`--virtual-ip` with an address that nobody has and no DHCP server gives away",
        virtual_ip.virtual_ip, roles=_CONTROL_PLANE,
    ),
    Check(
        "AddressRanges", "no network reached from here overlaps with the pods' or the Services' range",
        "packets for one go to the other",
        "use another range for that network, for Docker's in `default-address-pools` of /etc/docker/daemon.json",
        network.address_ranges,
    ),
    Check(
        "Mtu", "the node's interface takes packets of 1500 bytes",
        "large packets of pods depend on ICMP's `fragmentation needed`; where it is dropped, connections hang",
        "raise it with `ip link set DEVICE mtu 1500` if the network carries that, else let that ICMP pass",
        network.mtu,
    ),
    Check(
        "FirewallInput", "no chain of the hook input drops nodes' packets to our ports or pods' to the cluster DNS",
        "nodes stay NotReady, logs and exec fail, joins hang",
        "accept them",
        firewall.incoming, needs_root=True,
    ),
    Check(
        "FirewallForward", "no chain of the hook forward but Docker's own drops pods' packets",
        "pods reach neither each other nor the world",
        "accept them",
        firewall.forwarded, needs_root=True,
    ),
    Check(
        "IptablesBackend", "no rules in iptables-legacy that drop while `iptables` is the nftables one",
        "what the proxy accepts in one, the other drops",
        "`update-alternatives --set iptables /usr/sbin/iptables-nft`, `iptables-legacy -F`, and restart Docker",
        firewall.iptables_backend, needs_root=True,
    ),
)  # fmt: skip


def ignored(text: str) -> frozenset[str]:
    """The value of `--ignore-preflight-errors`: names with commas between, or `all`, in any case. Raises ValueError."""
    names = frozenset(part.strip().lower() for part in text.split(",") if part.strip())
    unknown = names - {check.name.lower() for check in CHECKS} - {ALL}
    if unknown:
        raise ValueError(f"there is no check called {', '.join(sorted(unknown))}: `cloudctl preflight` lists them")
    return names
