import { assertEquals } from "../../tests/assertions.ts";
import { ENOENT, SyscallError } from "../../ffi/errno.ts";
import { close, Fd, open } from "../../ffi/file.ts";
import { sendWithFds } from "../../ffi/socket.ts";
import { O_CLOEXEC, O_PATH } from "../../ffi/constants/fcntl.ts";
import {
  describeSetupFailure,
  type InitMessage,
  MonitorLink,
  openControl,
  receiveFromInit,
} from "./handshake.ts";

function withControl(test: (monitor: number, init: number) => void): () => void {
  return () => {
    const [monitor, init] = openControl();
    using _monitor = new Fd(monitor);
    test(monitor, init);
  };
}

const openDescriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
const bytes = (...numbers: number[]) => new Uint8Array(numbers);
const text = (words: string) => new TextEncoder().encode(words) as Uint8Array<ArrayBuffer>;

Deno.test(
  "what init says arrives as data",
  withControl((monitor, init) => {
    const link = new MonitorLink(init);
    // a pid of any length: one of three digits once made a packet as long as an errno
    for (const pid of [1, 12, 713, 1234, 4194304]) {
      link.reportPid(pid);
      assertEquals(receiveFromInit(monitor, "x"), { kind: "forked", pid });
    }
    const error = new SyscallError("openat2", ENOENT, "/etc/passwd");
    link.reportFailure(describeSetupFailure("find the user", error));
    const failure = {
      stage: "find the user",
      errno: ENOENT,
      syscall: "openat2",
      path: "/etc/passwd",
      message: error.message,
    };
    assertEquals(receiveFromInit(monitor, "x"), { kind: "failure", failure });
    close(init);
    assertEquals(receiveFromInit(monitor, "x"), { kind: "executed" });
  }),
);

Deno.test(
  "a console brings its master",
  withControl((monitor, init) => {
    using sent = new Fd(open("/dev/null", O_PATH | O_CLOEXEC));
    new MonitorLink(init).sendConsole(sent.number);
    const message = receiveFromInit(monitor, "x") as InitMessage & { kind: "console" };
    using received = new Fd(message.master);
    assertEquals([message.kind, Deno.readLinkSync(`/proc/self/fd/${received.number}`)], [
      "console",
      "/dev/null",
    ]);
    close(init);
  }),
);

Deno.test(
  "the stub's four bytes are the errno of execve",
  withControl((monitor, init) => {
    sendWithFds(init, bytes(2, 0, 0, 0), []);
    const failure = {
      stage: "execute",
      errno: ENOENT,
      syscall: "execve",
      path: "/bin/x",
      message: "/bin/x: No such file or directory",
    };
    assertEquals(receiveFromInit(monitor, "/bin/x"), { kind: "failure", failure });
    close(init);
  }),
);

Deno.test(
  "an overlong failure is cut to a packet",
  withControl((monitor, init) => {
    const message = "m".repeat(100_000);
    new MonitorLink(init).reportFailure({ stage: "s", errno: 0, syscall: "", path: message, message });
    const received = receiveFromInit(monitor, "x") as InitMessage & { kind: "failure" };
    assertEquals([received.failure.message.length, received.failure.path.length], [4000, 4000]);
    close(init);
  }),
);

Deno.test(
  "a packet that makes no sense is a failure, and what descriptors come with it are closed",
  withControl((monitor, init) => {
    const unreadable = {
      stage: "",
      errno: 0,
      syscall: "",
      path: "",
      message: "init sent a message that cannot be read",
    };
    using sent = new Fd(open("/dev/null", O_PATH | O_CLOEXEC));
    const before = openDescriptors();
    for (const packet of ["?", "F", "Fnull", "F[12]", 'F{"message":7,"errno":"x"}', "Cx", "F{"]) {
      sendWithFds(init, text(packet), packet === "Cx" ? [] : [sent.number]);
      assertEquals([packet, receiveFromInit(monitor, "x")], [packet, {
        kind: "failure",
        failure: unreadable,
      }]);
    }
    assertEquals(openDescriptors(), before);
    close(init);
  }),
);
