/**
 * Code that a monitor loads when its container first needs it: `run … true` must not pay for it.
 *
 * A forked child takes no turns of the event loop, so modules are imported before the fork. The packed program is made of
 * scripts, which are loaded at once and anywhere (see scripts/classic_scripts.ts).
 */

type StackModule = typeof import("./stack/stack.ts");
type DatagramsModule = typeof import("./stack/datagrams.ts");
type ProgramModule = typeof import("./program_network.ts");
type MemberModule = typeof import("./bridge/member.ts");
type ParentModule = typeof import("./parent_links.ts");
type HolderModule = typeof import("./bridge/holder.ts");
type HostGroundModule = typeof import("./bridge/host_ground.ts");

/** Defined in scripts only. */
declare const $skiffLoad: unknown;

/** What an import() is in a script: `atOnce` opens the program's file, whose text may be needed long after an upgrade. */
type ScriptImport<T> = Promise<T> & { atOnce(): () => T };

/** The program is made of scripts, and needs no import before a fork. */
export const areScripts = typeof $skiffLoad === "function";
let stack: StackModule | undefined;
let datagrams: DatagramsModule | undefined;
let programs: ProgramModule | undefined;
let member: MemberModule | undefined;
let parent: ParentModule | undefined;
let holder: HolderModule | undefined;
let hostGround: HostGroundModule | undefined;

/** To be called before the fork of a monitor that may have to serve a network. */
export async function prepareNetworkCode(): Promise<void> {
  if (areScripts) return;
  stack ??= await import("./stack/stack.ts");
  datagrams ??= await import("./stack/datagrams.ts");
  programs ??= await import("./program_network.ts");
  member ??= await import("./bridge/member.ts");
  parent ??= await import("./parent_links.ts");
  holder ??= await import("./bridge/holder.ts");
  hostGround ??= await import("./bridge/host_ground.ts");
}

/** Gives what loads the user-mode stack, in a forked child. */
export function openStack(): () => StackModule {
  return openCode(stack, () => import("./stack/stack.ts"));
}

/** The same for what of it is not TCP. */
export function openDatagrams(): () => DatagramsModule {
  return openCode(datagrams, () => import("./stack/datagrams.ts"));
}

/** The same for what runs pasta and slirp4netns. */
export function openProgramNetwork(): () => ProgramModule {
  return openCode(programs, () => import("./program_network.ts"));
}

/** The same for a container's place on the user's bridges. */
export function openBridgeMember(): () => MemberModule {
  return openCode(member, () => import("./bridge/member.ts"));
}

/** The same for macvlan and ipvlan. */
export function openParentLinks(): () => ParentModule {
  return openCode(parent, () => import("./parent_links.ts"));
}

/** The same for the holder of the bridges. */
export function openBridgeHolder(): () => HolderModule {
  return openCode(holder, () => import("./bridge/holder.ts"));
}

/** The same for bridges that are interfaces of this machine. */
export function openHostGround(): () => HostGroundModule {
  return openCode(hostGround, () => import("./bridge/host_ground.ts"));
}

/** Gives what loads code in a forked child; `imported` where that was done before the fork. */
export function openCode<T>(imported: T | undefined, load: () => Promise<T>): () => T {
  if (imported) return () => imported;
  if (!areScripts) throw new Error("load code after a fork: it was not prepared");
  return (load() as ScriptImport<T>).atOnce();
}
