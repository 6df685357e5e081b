"""Compiles OCI seccomp profiles with libseccomp, for seccomp_reference_test.ts to compare with.

stdin:  JSON list of {"architectures": ["SCMP_ARCH_X86_64", ...], "defaultErrnoRet": n, "syscalls": [...]}
stdout: JSON list of {"program": base64 of struct sock_filter[], "unknown": [names libseccomp does not know]}
"""

import base64
import json
import sys
import tempfile

import seccomp

ARCHES = {
    "SCMP_ARCH_X86_64": seccomp.Arch.X86_64,
    "SCMP_ARCH_X86": seccomp.Arch.X86,
    "SCMP_ARCH_X32": seccomp.Arch.X32,
    "SCMP_ARCH_AARCH64": seccomp.Arch.AARCH64,
    "SCMP_ARCH_ARM": seccomp.Arch.ARM,
}
ACTIONS = {"SCMP_ACT_ALLOW": seccomp.ALLOW, "SCMP_ACT_LOG": seccomp.LOG, "SCMP_ACT_KILL": seccomp.KILL}
OPERATORS = {f"SCMP_CMP_{op}": getattr(seccomp, op) for op in ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]}


def compile_profile(profile):
    f = seccomp.SyscallFilter(seccomp.ERRNO(profile["defaultErrnoRet"]))
    wanted = [ARCHES[name] for name in profile["architectures"]]
    for arch in wanted:
        if not f.exist_arch(arch):
            f.add_arch(arch)
    if seccomp.system_arch() not in [arch & 0xFFFFFFFF for arch in wanted]:
        f.remove_arch(seccomp.Arch.NATIVE)
    unknown = set()
    for rule in profile["syscalls"]:
        errno = rule.get("errnoRet")
        action = seccomp.ERRNO(1 if errno is None else errno) if rule["action"] == "SCMP_ACT_ERRNO" \
            else ACTIONS[rule["action"]]
        args = [
            seccomp.Arg(arg["index"], OPERATORS[arg["op"]], int(arg["value"]), int(arg.get("valueTwo") or 0))
            for arg in rule.get("args") or []
        ]
        for name in rule["names"]:
            try:
                f.add_rule(action, name, *args)
            except RuntimeError:
                unknown.add(name)
    with tempfile.TemporaryFile() as out:
        f.export_bpf(out)
        out.seek(0)
        return {"program": base64.b64encode(out.read()).decode(), "unknown": sorted(unknown)}


json.dump([compile_profile(profile) for profile in json.load(sys.stdin)], sys.stdout)
