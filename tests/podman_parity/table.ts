/** The command lines, in groups that build on a state of their own. */

import { BUILDS } from "./builds.ts";
import type { Aspect } from "./compare.ts";
import { CONTAINER_GROUPS } from "./containers.ts";
import { IMAGE_GROUPS } from "./images.ts";
import { MISTAKES } from "./mistakes.ts";
import { NETWORK_GROUPS } from "./networks.ts";
import { PODS } from "./pods.ts";
import { PORTS } from "./ports.ts";
import { RUN_GROUPS } from "./run.ts";
import { SECRETS } from "./secrets.ts";
import { SYSTEM_GROUPS } from "./system.ts";

/**
 * A shell line, in which `E` is the engine; and the differences that are accepted, each with its reason: `sometimes` where
 * podman itself answers now so, now so.
 */
export type Case = string | {
  line: string;
  differs: Partial<Record<Aspect, string>>;
  sometimes?: true;
};

export interface Group {
  name: string;
  /** Run first, and not compared. */
  setUp?: string[];
  cases: Case[];
}

export const GROUPS: readonly Group[] = [
  MISTAKES,
  ...RUN_GROUPS,
  ...CONTAINER_GROUPS,
  ...IMAGE_GROUPS,
  BUILDS,
  ...NETWORK_GROUPS,
  SECRETS,
  ...SYSTEM_GROUPS,
  PORTS,
  PODS,
];
