/** @see podman-container-restore(1) */

export { restore as command } from "./checkpoint.ts";
