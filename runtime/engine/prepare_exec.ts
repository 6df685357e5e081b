/** What `exec` does first of all, before anything else is loaded. */

export { plantExecSeed as prepareExec } from "../monitor/exec_seed.ts";
