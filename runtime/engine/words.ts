/** Words that options take, for who offers them. */

export { ALL_CAPABILITIES } from "../security/capabilities.ts";
