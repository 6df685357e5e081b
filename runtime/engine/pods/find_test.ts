import { assertEquals } from "../../../tests/assertions.ts";
import { podStatus } from "./find.ts";

Deno.test("a pod's state is podman's for the states of its containers", () => {
  const CASES: [Parameters<typeof podStatus>[0], string][] = [
    [[], "Created"],
    [["created", "created"], "Created"],
    [["running", "running"], "Running"],
    [["running", "exited"], "Degraded"],
    [["running", "paused", "created"], "Degraded"],
    [["paused", "paused"], "Paused"],
    [["paused", "created"], "Created"],
    [["exited", "exited"], "Exited"],
    [["exited", "created"], "Stopped"],
    [["exited", "paused"], "Stopped"],
    [["restarting", "created"], "Error"],
  ];
  for (const [states, status] of CASES) assertEquals([states, podStatus(states)], [states, status]);
});
