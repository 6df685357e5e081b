/** Packed in place of the command line by packed_test.ts: prints how it was started. */
import { takeLaunch } from "../runtime/config/launch.ts";

const headerVariables = Object.keys(Deno.env.toObject()).filter((name) => name.startsWith("SKIFF_F"));
const launch = takeLaunch();
const left = Object.fromEntries(
  Object.entries(Deno.env.toObject()).filter(([name]) => /^(SKIFF_(?!TEST)|DENO_|NODE_|PATH$)/.test(name)),
);
const ofCaller = Object.entries(Deno.env.toObject()).filter(([, value]) => value === "the caller's");
console.log(JSON.stringify({
  args: Deno.args,
  form: launch.form,
  file: launch.command[0],
  nofile: String(launch.nofileSoft),
  runtime: Deno.execPath(),
  headerVariables,
  left,
  ofCaller: ofCaller.map(([name]) => name).sort(),
}));
