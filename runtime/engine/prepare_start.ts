/** What a command that will start a container does first of all, before anything else is loaded. */

export { plantSeed as prepareStart } from "../monitor/seed.ts";
