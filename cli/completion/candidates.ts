/** What may stand at a point of the command line: names of what there is, choices, files. */

import type { Engine } from "../../runtime/engine/engine.ts";
import type { Flag, Flags } from "../command.ts";
import { escapeControl } from "../output/escape.ts";
import type { Point } from "./point.ts";

export interface Candidate {
  text: string;
  description?: string;
}

export interface Completion {
  candidates: Candidate[];
  /** What the shell adds itself. */
  paths: "none" | "files" | "folders";
  /** The cursor stays behind what was completed, for more is to come. */
  noSpace: boolean;
}

/** A kind of word, found by what the usage or the help calls it. */
interface Kind {
  /** Of what there is, for the command at `path`; `typed` is the word so far, `before` are the arguments before it. */
  list?: (engine: Engine, path: string, typed: string, before: readonly string[]) => Promise<Candidate[]>;
  paths?: Completion["paths"];
  noSpace?: boolean;
}

const words = (text: string): Kind["list"] => () =>
  Promise.resolve(text.split(" ").map((word) => ({ text: word })));

/** By flag: what its choices and the name of its value do not tell. */
const FLAG_KINDS: Record<string, Kind> = {
  network: { list: networkWords },
  "log-driver": { list: words("k8s-file json-file journald none passthrough passthrough-tty") },
  platform: { list: words("linux/amd64 linux/arm64") },
  restart: { list: words("no on-failure always unless-stopped") },
  userns: { list: words("host keep-id nomap auto") },
  cgroupns: { list: words("private host") },
  ipc: { list: modes("private host shareable none") },
  pid: { list: modes("private host") },
  uts: { list: modes("private host") },
  "image-volume": { list: words("anonymous tmpfs ignore") },
  mount: { list: words("type=bind,source= type=volume,source= type=tmpfs,destination="), noSpace: true },
  "exit-policy": { list: words("continue stop") },
  share: { list: words("ipc net pid uts none") },
  condition: { list: words("created exited paused removing running stopped stopping") },
  "security-opt": { list: words("seccomp=unconfined no-new-privileges mask= unmask=") },
  type: { list: words("container image volume network pod all") },
  volume: { list: appended(volumes, ":"), paths: "folders", noSpace: true },
  format: { list: words("json") },
  signal: { list: signals },
  "stop-signal": { list: signals },
  "cap-add": { list: capabilities },
  "cap-drop": { list: capabilities },
  "volume-driver": { list: volumeDrivers },
  "volumes-from": { list: containers },
};

/** By what the usage calls an argument or the help the value of a flag; the first that matches. */
const WORD_KINDS: [RegExp, Kind][] = [
  [/^CONTAINER:/, { list: containersOrPaths, paths: "files" }],
  [/^CONTAINER/, { list: containers }],
  [/^(IMAGE|LIST)/, { list: images }],
  [/^ARTIFACT/, { list: artifacts }],
  [/^VOLUME/, { list: volumes }],
  [/^NETWORK/, { list: networks }],
  [/^POD\b/, { list: pods }],
  [/^SECRET/, { list: secrets }],
  [/^PORT/, { list: ports }],
  [/^(TOPIC|PAGE)$/, { list: topics }],
  [/^(FILE|PATH|COMMAND|ARG|SRC|DEST|TARBALL|ARCHIVE)/, { paths: "files" }],
  [/^(FOLDER|DIR|CONTEXT)/, { paths: "folders" }],
];

/** Options that are another thing for another command. */
const FLAG_KINDS_OF: Record<string, Record<string, Kind>> = {
  save: { format: { list: words("docker-archive docker-dir oci-archive oci-dir") } },
  push: { format: { list: words("oci v2s2") } },
};

/** Arguments that the usage calls NAME. */
const NAME_KINDS: Record<string, Kind> = {
  "skiff inspect": {
    list: (engine, path) => merged(containers(engine, path), images(engine), volumes(engine)),
  },
  "skiff images": { list: images },
  "skiff image list": { list: images },
};

/** The states of the containers that a command is for; the others take all. */
const STATES: Record<string, RegExp> = {
  start: /^(created|exited|stopped|configured)$/,
  unpause: /^paused$/,
  ...Object.fromEntries(
    ["attach", "exec", "kill", "pause", "port", "stop", "top"].map((verb) => [verb, /^(running|stopping)$/]),
  ),
};

const ID = /^[0-9a-f]{12}$/;

const NOTHING: Completion = { candidates: [], paths: "none", noSpace: false };

/** @param engine opened only for names of what there is */
export async function candidatesAt(point: Point, engine: () => Engine): Promise<Completion> {
  if (point.kind === "verb") {
    return fitting(
      point.typed,
      point.names.map(({ name, summary }) => ({ text: name, description: summary })),
    );
  }
  if (point.kind === "flag") return fitting(point.typed, flagNames(point.flags));
  if (point.kind === "value") {
    const { flag, name, typed, lead, path } = point;
    const choices = choicesOf(flag);
    const kind = choices
      ? { list: () => Promise.resolve(choices) }
      : await kindOfValue(name, flag, path, typed);
    const completion = fitting(typed, await kind.list?.(engine(), path, typed, []) ?? [], kind);
    return {
      ...completion,
      candidates: completion.candidates.map((one) => ({ ...one, text: lead + one.text })),
    };
  }
  const { word, typed, before, path } = point;
  if (/^[a-z]+(\|[a-z]+)+$/.test(word)) return fitting(typed, word.split("|").map((text) => ({ text })));
  const kind = word === "NAME" ? NAME_KINDS[path] : WORD_KINDS.find(([pattern]) => pattern.test(word))?.[1];
  if (!kind) return NOTHING;
  const list = await kind.list?.(engine(), path, typed, before) ?? [];
  const completion = fitting(typed, list.filter(({ text }) => !before.includes(text)), kind);
  return isInContainer(word, typed) ? { ...completion, paths: "none" } : completion;
}

function fitting(
  typed: string,
  list: readonly Candidate[],
  { paths = "none", noSpace }: Kind = {},
): Completion {
  const seen = new Set<string>();
  const candidates = list.filter(({ text }) => {
    // hostile names are no words; an id is offered only to who begins to type it
    if (!text.startsWith(typed) || seen.has(text) || escapeControl(text) !== text) return false;
    if (typed.length < 2 && ID.test(text)) return false;
    seen.add(text);
    return true;
  });
  const isOpen = candidates.length > 0 && candidates.every(({ text }) => /[=:/]$/.test(text));
  return { candidates, paths, noSpace: noSpace ?? isOpen };
}

function flagNames(flags: Flags): Candidate[] {
  return Object.entries(flags).filter(([, flag]) => !flag.hidden).flatMap(([name, { help, short }]) => [
    { text: `--${name}`, description: help },
    ...(short ? [{ text: `-${short}`, description: help }] : []),
  ]);
}

function choicesOf(flag: Flag): Candidate[] | undefined {
  const choices = flag.kind === "bool" ? ["true", "false"] : flag.choices ?? flag.only;
  return choices?.filter((text) => text !== "").map((text) => ({ text }));
}

async function kindOfValue(name: string, flag: Flag, path: string, typed: string): Promise<Kind> {
  if (name === "filter") return { list: typed.includes("=") ? filterValues(typed) : await filterKeys(path) };
  const byWord = WORD_KINDS.find(([pattern]) => pattern.test(flag.value ?? ""));
  return FLAG_KINDS_OF[path.split(" ").at(-1)!]?.[name] ?? FLAG_KINDS[name] ?? byWord?.[1] ?? {};
}

async function filterKeys(path: string): Promise<Kind["list"]> {
  const { FILTER_KEYS } = /image/.test(path)
    ? await import("../filters/images.ts")
    : /volume/.test(path)
    ? await import("../filters/volumes.ts")
    : / secret /.test(path)
    ? await import("../filters/secrets.ts")
    : / network /.test(path)
    ? await import("../filters/networks.ts")
    : / pod /.test(path)
    ? await import("../filters/pods.ts")
    : /events/.test(path)
    ? await import("../filters/events.ts")
    : await import("../filters/containers.ts");
  return () => Promise.resolve(FILTER_KEYS.map((key) => ({ text: `${key}=` })));
}

/** By filter: what it may ask for. */
const FILTER_VALUES: Record<string, Kind["list"]> = {
  status: words("created exited paused removing running stopped stopping"),
  health: words("healthy unhealthy starting none"),
  "restart-policy": words("no always on-failure unless-stopped"),
  dangling: words("true false"),
  intermediate: words("true false"),
  readonly: words("true false"),
  anonymous: words("true false"),
  driver: words("local bridge macvlan ipvlan"),
  type: words("container image network pod secret volume system"),
  ancestor: images,
  before: containers,
  container: containers,
  image: images,
  name: (engine, path) => / pod /.test(path) ? pods(engine) : containers(engine, path),
  "ctr-names": containers,
  "ctr-status": words("created exited paused running stopped"),
  pod: pods,
  volume: volumes,
  network: networks,
};

function filterValues(typed: string): Kind["list"] {
  const lead = typed.slice(0, typed.indexOf("=") + 1);
  const values = FILTER_VALUES[lead.slice(0, -1)];
  return values &&
    (async (engine, path) => behind(lead, await values(engine, path, typed, [])));
}

/** The words, and the namespaces of containers that run. */
function modes(text: string): NonNullable<Kind["list"]> {
  return async (engine) => [
    ...await words(text)!(engine, "", "", []),
    ...behind("container:", await containers(engine, "attach")),
  ];
}

/** Names only: an id behind something is offered to nobody. */
function behind(lead: string, list: readonly Candidate[]): Candidate[] {
  return list.filter(({ text }) => !ID.test(text)).map((one) => ({ ...one, text: lead + one.text }));
}

async function containers(engine: Engine, path: string): Promise<Candidate[]> {
  const { ps } = await import("../../runtime/engine/ps.ts");
  const wanted = STATES[path.split(" ").at(-1)!];
  const list = (await ps(engine, { all: true })).filter(({ State }) => wanted?.test(State) ?? true);
  return list.flatMap(({ Id, Names, Image, Status }) => {
    const description = `${Image}, ${Status}`;
    return [...Names, Id.slice(0, 12)].map((text) => ({ text, description }));
  });
}

async function pods(engine: Engine): Promise<Candidate[]> {
  const list = await (await import("../../runtime/engine/pods/list.ts")).pods(engine);
  return list.flatMap(({ Id, Name, Status }) =>
    [Name, Id.slice(0, 12)].map((text) => ({ text, description: Status }))
  );
}

/** Names, and their endings: `docker.io/library/debian:12`, `library/debian:12`, `debian:12`. */
async function images(engine: Engine, path = ""): Promise<Candidate[]> {
  const list = await (await import("../../runtime/engine/images.ts")).images(engine);
  const builtIn = / (run|create)$/.test(path)
    ? [{ text: "host", description: "this machine's own system" }]
    : [];
  return builtIn.concat(list.flatMap(({ Id, Names }) => [
    ...Names.flatMap((name) => endings(name).map((text) => ({ text, description: Id.slice(0, 12) }))),
    { text: Id.slice(0, 12), description: Names[0] ?? "<none>" },
  ]));
}

async function artifacts(engine: Engine): Promise<Candidate[]> {
  const list = await (await import("../../runtime/engine/artifacts.ts")).artifacts(engine);
  return list.flatMap(({ Name, Digest }) =>
    endings(Name).map((text) => ({ text, description: Digest.slice(7, 19) }))
  );
}

function endings(name: string): string[] {
  const parts = name.split("/");
  return parts.map((_, index) => parts.slice(index).join("/"));
}

/** The modes, and the user's networks. */
async function networkWords(engine: Engine, path: string): Promise<Candidate[]> {
  const named = (await networks(engine)).filter(({ text }) => text !== "host" && text !== "none");
  return [...await modes("slirp none host slirp4netns pasta")(engine, path, "", []), ...named];
}

async function networks(engine: Engine): Promise<Candidate[]> {
  const list = await (await import("../../runtime/engine/networks.ts")).networks(engine);
  return list.map(({ Name, Driver, Subnets }) => ({
    text: Name,
    description: [Driver, ...Subnets.map(({ Subnet }) => Subnet)].join(" "),
  }));
}

/** With their snapshots, where one of these may be meant as well. */
async function volumes(engine: Engine, path = ""): Promise<Candidate[]> {
  const { listVolumes } = await import("../../runtime/state/volumes.ts");
  const names = listVolumes(await engine.database()).map(({ name }) => name);
  const list = names.map((text) => ({ text }));
  if (!/^volume (clone|export|remove|restore|rm)$/.test(path)) return list;
  const { snapshotsIn } = await import("../../runtime/engine/volume_snapshots.ts");
  return [...list, ...names.flatMap((name) => snapshotsIn(engine, name)).map(({ Name }) => ({ text: Name }))];
}

async function secrets(engine: Engine): Promise<Candidate[]> {
  const { listSecrets } = await import("../../runtime/state/secrets.ts");
  return listSecrets(await engine.database()).map(({ name }) => ({ text: name }));
}

async function volumeDrivers(): Promise<Candidate[]> {
  const { listPlugins } = await import("../../runtime/engine/volume_plugins/discovery.ts");
  return ["local", "image", ...listPlugins()].map((text) => ({ text }));
}

function appended(list: NonNullable<Kind["list"]>, ending: string): NonNullable<Kind["list"]> {
  return async (engine, path) =>
    (await list(engine, path, "", [])).map(({ text, description }) => ({ text: text + ending, description }));
}

/** `web:/etc/pa`, and not `./a:b`. */
function isInContainer(word: string, typed: string): boolean {
  return word.startsWith("CONTAINER:") && /^[^./][^:]*:/.test(typed);
}

/** A copy that is under way keeps its container to itself; nobody waits that long for a word. */
const PATIENCE_MS = 15_000;
/** What a shell would take apart. */
const UNUSUAL = /[\s'"`$\\|&;<>(){}[\]*?!#~]/;

async function containersOrPaths(engine: Engine, path: string, typed: string): Promise<Candidate[]> {
  if (!isInContainer("CONTAINER:", typed)) return await appended(containers, ":")!(engine, path, typed, []);
  const { listFolder } = await import("../../runtime/engine/list_folder.ts");
  const colon = typed.indexOf(":"), slash = typed.lastIndexOf("/");
  const lead = typed.slice(0, Math.max(colon, slash) + 1);
  const folder = slash > colon ? typed.slice(colon + 1, slash + 1) : ".";
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const entries = await listFolder(engine, typed.slice(0, colon), folder, typed.slice(lead.length), signal);
  return entries.filter(({ name }) => !UNUSUAL.test(name))
    .map(({ name, isFolder }) => ({ text: `${lead}${name}${isFolder ? "/" : ""}` }));
}

/** Those of the container that are published. */
async function ports(
  engine: Engine,
  _path: string,
  _typed: string,
  [container]: readonly string[],
): Promise<Candidate[]> {
  const { ps } = await import("../../runtime/engine/ps.ts");
  const list = await ps(engine, { all: true });
  const found = list.find(({ Id, Names }) => Names.includes(container!) || Id.startsWith(container!));
  return (found?.Ports ?? []).flatMap(({ container_port, host_ip, host_port, range, protocol }) =>
    Array.from({ length: Math.min(range, 1000) }, (_, at) => ({
      text: `${container_port + at}${protocol === "tcp" ? "" : `/${protocol}`}`,
      description: `${host_ip || "0.0.0.0"}:${host_port + at}`,
    }))
  );
}

async function merged(...lists: Promise<Candidate[]>[]): Promise<Candidate[]> {
  return (await Promise.all(lists)).flat();
}

async function signals(): Promise<Candidate[]> {
  const { signalName } = await import("../../runtime/spec/signal.ts");
  return Array.from({ length: 31 }, (_, index) => ({ text: signalName(index + 1) }));
}

async function capabilities(): Promise<Candidate[]> {
  const { ALL_CAPABILITIES } = await import("../../runtime/engine/words.ts");
  return ["ALL", ...ALL_CAPABILITIES].map((text) => ({ text }));
}

async function topics(): Promise<Candidate[]> {
  const [{ GROUPS, VERBS }, { TOPICS }] = await Promise.all([import("../verbs.ts"), import("../topics.ts")]);
  return [...VERBS, ...GROUPS, ...TOPICS].map(({ name, summary }) => ({ text: name, description: summary }));
}
