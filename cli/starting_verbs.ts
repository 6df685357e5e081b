/** Commands that fork a monitor, before all else; what they load is a bundle of its own. @see scripts/build.ts, VARIANTS */
export const STARTING_VERBS = ["run", "start", "restart"];
