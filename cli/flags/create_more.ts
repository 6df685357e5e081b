/** The rarer options of `run` and `create`, each with the name that the engine has for it. @see podman-create(1) */

import type { CreateOptions } from "../../runtime/engine/options.ts";
import type { Flag } from "../command.ts";

/** Without `option` it is the command's own affair. */
type MoreFlag = Flag & { option?: keyof CreateOptions };

export const MORE_CREATE_FLAGS = {
  "add-host": {
    kind: "array",
    option: "addHosts",
    value: "NAME:ADDRESS",
    help: "Add a line to /etc/hosts; host-gateway stands for this machine",
  },
  annotation: { kind: "array", option: "annotations", value: "KEY=VALUE", help: "Set an OCI annotation" },
  attach: {
    kind: "list",
    short: "a",
    value: "STREAM",
    help: "Attach only to stdin, stdout or stderr",
  },
  authfile: { kind: "string", option: "authFile", value: "FILE", help: "auth.json with logins for the pull" },
  lazy: {
    kind: "bool",
    option: "lazy",
    help: "Of an image that is pulled, fetch eStargz and zstd:chunked layers as they are read",
  },
  chrootdirs: {
    kind: "list",
    option: "chrootDirs",
    value: "FOLDER",
    help: "Folder inside that programs chroot to: it gets /etc/hosts and /etc/resolv.conf, too",
  },
  cgroupns: { kind: "string", option: "cgroupns", value: "MODE", help: "Cgroup namespace: private or host" },
  "decryption-key": {
    kind: "array",
    option: "decryptionKeys",
    value: "FILE[:PASSPHRASE]",
    help: "Of an image that is pulled, decrypt layers by the key in FILE (PASSPHRASE may be file=FILE)",
  },
  device: {
    kind: "list",
    option: "devices",
    value: "PATH[:TARGET][:rwm]",
    help: "Add a device of this machine, all of a folder, or by its CDI name: vendor.com/class=all",
  },
  dns: {
    kind: "list",
    option: "dns",
    value: "ADDRESS",
    help: "Name server; none leaves /etc/resolv.conf alone",
  },
  "dns-option": {
    kind: "list",
    option: "dnsOptions",
    value: "OPTION",
    aliases: ["dns-opt"],
    help: "Option of the resolver: ndots:2",
  },
  "dns-search": { kind: "list", option: "dnsSearch", value: "DOMAIN", help: "Search domain; . for none" },
  domainname: {
    kind: "string",
    option: "domainName",
    value: "NAME",
    help: "NIS domain name of the container",
  },
  "env-host": { kind: "bool", option: "envHost", help: "Pass the caller's whole environment" },
  "env-merge": {
    kind: "array",
    option: "envMerge",
    value: "KEY=VALUE",
    help: "Set a variable from the image's: PATH=${PATH}:/opt/bin",
  },
  expose: {
    kind: "list",
    option: "expose",
    value: "PORT[-PORT][/PROTOCOL]",
    help: "Say that the program listens there; --publish-all publishes it",
  },
  gidmap: {
    kind: "array",
    option: "gidMap",
    value: "[ug+]CONTAINER:[@]OWN:COUNT",
    help: "Map groups in a user namespace of its own, as --uidmap does users",
  },
  gpus: {
    kind: "list",
    value: "GPU",
    help: "Add NVIDIA's devices, as --device nvidia.com/gpu=GPU: all, 0, …",
  },
  "group-entry": { kind: "string", option: "groupEntry", value: "LINE", help: "What is added to /etc/group" },
  "hosts-file": {
    kind: "string",
    option: "hostsFile",
    value: "FILE",
    help: "What /etc/hosts begins with: a file, or none",
  },
  hostuser: {
    kind: "array",
    option: "hostUsers",
    value: "USER",
    help: "Add a user of this machine to /etc/passwd",
  },
  "http-proxy": {
    kind: "bool",
    option: "httpProxy",
    default: true,
    help: "Pass http_proxy and its kin on",
  },
  ip: { kind: "string", option: "ip", value: "ADDRESS", help: "IPv4 address on the container's network" },
  ip6: { kind: "string", option: "ip6", value: "ADDRESS", help: "IPv6 address on the container's network" },
  "init-path": { kind: "string", option: "initPath", value: "FILE", help: "The init that --init runs" },
  ipc: {
    kind: "string",
    option: "ipc",
    value: "MODE",
    help: "IPC namespace: shareable, private, none, host, container:ID, ns:PATH",
  },
  "mac-address": {
    kind: "string",
    option: "macAddress",
    value: "ADDRESS",
    help: "MAC address on the container's network",
  },
  "network-alias": {
    kind: "list",
    option: "networkAliases",
    value: "NAME",
    aliases: ["net-alias"],
    help: "Another name of the container on its networks",
  },
  "no-hostname": { kind: "bool", option: "noHostname", help: "Make no /etc/hostname" },
  "no-hosts": { kind: "bool", option: "noHosts", help: "Make no /etc/hosts" },
  "oom-score-adj": {
    kind: "int",
    option: "oomScoreAdj",
    value: "NUMBER",
    help: "How soon it is killed when memory runs out, -1000 to 1000; only root may go below the caller's",
  },
  passwd: {
    kind: "bool",
    option: "passwd",
    default: true,
    help: "Add who the container runs as to /etc/passwd",
  },
  "passwd-entry": {
    kind: "string",
    option: "passwdEntry",
    value: "LINE",
    help: "The line, with $USERNAME, $UID, $GID, $NAME, $HOME",
  },
  personality: {
    kind: "string",
    option: "personality",
    value: "DOMAIN",
    help: "Execution domain of the programs: LINUX, or LINUX32 for a 32-bit machine",
  },
  pid: {
    kind: "string",
    option: "pid",
    value: "MODE",
    help: "PID namespace: private, host, container:ID, ns:PATH",
  },
  publish: {
    kind: "list",
    short: "p",
    option: "publish",
    value: "[IP:][HOST:]PORT[/PROTOCOL]",
    help: "Publish a port or a range: 8080:80, 127.0.0.1::80, 8000-8010:80-90/udp",
  },
  "publish-all": {
    kind: "bool",
    short: "P",
    option: "publishAll",
    help: "Publish every exposed port at a free host port",
  },
  "read-only-tmpfs": {
    kind: "bool",
    option: "readOnlyTmpfs",
    default: true,
    help: "With --read-only: /run, /tmp and /var/tmp stay writable",
  },
  retry: {
    kind: "uint",
    option: "retries",
    value: "COUNT",
    help: "Of a pull: attempts after one that failed (default 4)",
  },
  "retry-delay": {
    kind: "string",
    option: "retryDelay",
    value: "DURATION",
    help: "Of a pull: wait between attempts (default: longer each time)",
  },
  "seccomp-policy": {
    kind: "string",
    option: "seccompPolicy",
    value: "POLICY",
    help: "What a seccomp profile is chosen by: default, or image for the one in the image's label",
  },
  secret: {
    kind: "array",
    option: "secrets",
    value: "SECRET[,OPTION=VALUE…]",
    help:
      "Give it a secret, at /run/secrets: target=, uid=, gid=, mode=, or as a variable: type=env,target=NAME",
  },
  "shm-size-systemd": {
    kind: "string",
    option: "shmSizeSystemd",
    value: "SIZE",
    help: "Size of what systemd gets at /run, /run/lock, /tmp and /var/log/journal",
  },
  subgidname: {
    kind: "string",
    option: "subgidName",
    value: "NAME",
    help: "As root, map groups to the ranges of NAME in /etc/subgid",
  },
  subuidname: {
    kind: "string",
    option: "subuidName",
    value: "NAME",
    help: "As root, map users to the ranges of NAME in /etc/subuid",
  },
  sysctl: {
    kind: "array",
    option: "sysctls",
    value: "KEY=VALUE",
    help: "Set a kernel parameter of the container's own namespaces",
  },
  systemd: {
    kind: "string",
    option: "systemd",
    value: "WHEN",
    help: "Prepare for systemd: true (where it is the program), always, false",
    choices: ["true", "false", "always"],
  },
  tz: { kind: "string", option: "timezone", value: "ZONE", help: "Time zone: Europe/Berlin, or local" },
  uidmap: {
    kind: "array",
    option: "uidMap",
    value: "[ug+]CONTAINER:[@]OWN:COUNT",
    help: "Map users in an own user namespace; OWN 0 is the caller, 1… the subordinate ids (root: host ids)",
  },
  umask: { kind: "string", option: "umask", value: "MODE", help: "File mode mask (default 0022)" },
  unsetenv: { kind: "array", option: "unsetEnv", value: "NAME", help: "Remove a variable of the image's" },
  "unsetenv-all": { kind: "bool", option: "unsetEnvAll", help: "Remove all variables of the image's" },
  uts: {
    kind: "string",
    option: "uts",
    value: "MODE",
    help: "UTS namespace: private, host, container:ID, ns:PATH",
  },
} as const satisfies Record<string, MoreFlag>;

/** What was given, under the engine's names. */
export function moreOptions(
  options: Readonly<Record<string, unknown>>,
  given: ReadonlySet<string>,
): Partial<CreateOptions> {
  return Object.fromEntries(
    Object.entries(MORE_CREATE_FLAGS as Record<string, MoreFlag>)
      .flatMap(([name, { option }]) => option && given.has(name) ? [[option, options[name]]] : []),
  );
}
