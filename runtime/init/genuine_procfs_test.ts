/** Writes to /proc and masks in it reach the kernel's own file system or fail (CVE-2025-52881). */
import { assertEquals, messageOf } from "../../tests/assertions.ts";
import { Fd, open } from "../../ffi/file.ts";
import { O_CLOEXEC, O_DIRECTORY, O_PATH, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { maskPaths, protectPaths } from "./protect.ts";
import { writeSysctls } from "./sysctl.ts";

/** A root whose /proc is an ordinary folder, as a volume there makes it. */
function withFalseProc(test: (root: number, folder: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const folder = Deno.makeTempDirSync({ prefix: "skiff-proc-" });
    try {
      Deno.mkdirSync(`${folder}/proc/sys/net/ipv4`, { recursive: true });
      Deno.mkdirSync(`${folder}/sys/firmware`, { recursive: true });
      Deno.writeTextFileSync(`${folder}/outside`, "0");
      Deno.writeTextFileSync(`${folder}/proc/keys`, "0");
      Deno.writeTextFileSync(`${folder}/proc/sys/net/ipv4/ip_forward`, "0");
      Deno.symlinkSync(`${folder}/outside`, `${folder}/proc/sys/net/link`);
      using root = new Fd(open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC));
      await test(root.number, folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  };
}

const noDevice = () => {
  throw new Error("nothing is to be covered here");
};

Deno.test(
  "a path that is masked or write-protected must be the kernel's",
  withFalseProc(async (root) => {
    const refusal = (path: string) => `protect ${path}: it is not on the kernel's own file system`;
    assertEquals(await messageOf(() => maskPaths(root, ["/proc/keys"], noDevice)), refusal("/proc/keys"));
    assertEquals(
      await messageOf(() => maskPaths(root, ["/sys/firmware"], noDevice)),
      refusal("/sys/firmware"),
    );
    assertEquals(await messageOf(() => protectPaths(root, ["/proc/sys"])), refusal("/proc/sys"));
  }),
);

Deno.test(
  "what a machine does not have needs no mask",
  withFalseProc((root) => {
    maskPaths(root, ["/proc/none", "/none/below", "/proc/keys/below"], noDevice);
    protectPaths(root, ["/proc/none"]);
    return Promise.resolve();
  }),
);

Deno.test(
  "a kernel parameter is written to procfs only",
  withFalseProc(async (_, folder) => {
    using procfs = new Fd(open(`${folder}/proc`, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const write = (name: string) => messageOf(() => writeSysctls(procfs.number, { [name]: "1" }));
    assertEquals(await write("net.ipv4.ip_forward"), "set sysctl net.ipv4.ip_forward: not on procfs");
    assertEquals(
      await write("net.link"),
      "set sysctl net.link: openat2 `sys/net/link`: Too many levels of symbolic links",
    );
    assertEquals(
      await write("net/../../../outside"),
      "set sysctl net/../../../outside: openat2 `sys/net/../../../outside`: Invalid cross-device link",
    );
    assertEquals(await write("net ipv4"), "set sysctl net ipv4: not a parameter's name");
    assertEquals(Deno.readTextFileSync(`${folder}/outside`), "0");
    assertEquals(Deno.readTextFileSync(`${folder}/proc/sys/net/ipv4/ip_forward`), "0");
  }),
);

Deno.test("a parameter's name is found on the real procfs, by dots or slashes", async () => {
  using procfs = new Fd(open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (const name of ["kernel.no_such_parameter", "kernel/no_such_parameter"]) {
    assertEquals(
      await messageOf(() => writeSysctls(procfs.number, { [name]: "1" })),
      `set sysctl ${name}: openat2 \`sys/kernel/no_such_parameter\`: No such file or directory`,
    );
  }
});
