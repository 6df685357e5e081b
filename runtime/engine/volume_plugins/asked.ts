/** A plugin's volume that a container's options name, and that was not there before. */

import type { VolumeMount } from "../../container/mount_options.ts";
import { timestamp } from "../clock.ts";
import type { Engine } from "../engine.ts";
import { createPluginVolume } from "./volumes.ts";

/** It stays where the container is not made, as docker leaves it. */
export async function makePluginVolume(engine: Engine, mount: VolumeMount, driver: string): Promise<void> {
  const { name, anonymous, make } = mount;
  const { options = {}, labels = {} } = make ?? {};
  await createPluginVolume(engine, { name, anonymous, options, labels, driver, createdAt: timestamp() });
}
