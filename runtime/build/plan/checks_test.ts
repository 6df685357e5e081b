import { assertEquals, assertIncludes, messageOf } from "../../../tests/assertions.ts";
import { hostPlatform } from "../../image/platform.ts";
import { parseDigest } from "../../spec/digest.ts";
import type { ImageRunConfig } from "../../spec/image.ts";
import { CHECK_RULES, type RuleName, ruleUrl } from "../dockerfile/check_rules.ts";
import { Checker } from "../dockerfile/checker.ts";
import { parseDockerfile } from "../dockerfile/parse.ts";
import { compilePatterns } from "../ignore.ts";
import { tellFindingsBefore } from "../check.ts";
import type { BuildOptions } from "../options.ts";
import type { BaseImage } from "../step.ts";
import { planBuild } from "./plan.ts";

interface Given {
  target?: string;
  buildArgs?: Record<string, string>;
  ignore?: string[];
  /** Of every image. */
  config?: ImageRunConfig;
  architecture?: string;
  isUnknown?: boolean;
  isForAll?: boolean;
  override?: string;
}

async function check(
  text: string,
  given: Given = {},
  checker = new Checker(parseDockerfile(text, "Dockerfile"), given.override),
): Promise<Checker> {
  const dockerfile = checker.file;
  const ignore = compilePatterns(given.ignore ?? []);
  const unknown = new Set<BaseImage>();
  const { target, buildArgs = {} } = given;
  await planBuild({
    dockerfile,
    options: { target, buildArgs, contexts: {}, labels: {}, addHosts: [], allow: [] },
    platform: hostPlatform("x86_64"),
    checks: { checker, unknown, isIgnored: (path) => ignore.matches(path), isForAll: given.isForAll ?? true },
    resolveImage({ name }) {
      const architecture = given.architecture ?? "amd64";
      const image: BaseImage = {
        name,
        id: "",
        digest: parseDigest(`sha256:${"0".repeat(64)}`),
        config: {
          os: "linux",
          architecture,
          config: given.config ?? {},
          rootfs: { type: "layers", diff_ids: [] },
        },
        snapshot: { layers: [] },
      };
      if (given.isUnknown) unknown.add(image);
      return Promise.resolve(image);
    },
  });
  return checker;
}

/** `StageNameCasing 3: detail` */
async function found(text: string, given?: Given): Promise<string[]> {
  const { findings } = await check(text, given);
  return findings.map(({ rule, location, detail }) => `${rule} ${location.startLine}: ${detail}`);
}

/** What is found in the order of the file. */
const CASES: [text: string, found: string[], given?: Given][] = [
  ["\nFROM scratch AS BadStageName\n\nFROM scratch as base2\n\nFROM scratch AS base3\n", [
    "StageNameCasing 2: Stage name 'BadStageName' should be lowercase",
    "FromAsCasing 4: 'as' and 'FROM' keywords' casing do not match",
  ]],
  ["\nfrom --platform=$BUILDPLATFORM scratch AS base\n\nfrom scratch as base2\n", [
    "FromAsCasing 2: 'AS' and 'from' keywords' casing do not match",
  ]],
  ["FROM scratch\nCOPY Dockerfile \\\n\n.\nCOPY Dockerfile \\\n.\n", [
    "NoEmptyContinuation 4: Empty continuation line",
  ]],
  ["From scratch as base\nFROM scratch AS base2\n", [
    "ConsistentInstructionCasing 1: Command 'From' should match the case of the command majority (uppercase)",
  ]],
  ["\nfrOM scratch as base\nfrom scratch as base2\n", [
    "ConsistentInstructionCasing 2: Command 'frOM' should match the case of the command majority (lowercase)",
  ]],
  ["FROM scratch\ncopy Dockerfile /foo\nCOPY Dockerfile /bar\n", [
    "ConsistentInstructionCasing 2: Command 'copy' should match the case of the command majority (uppercase)",
  ]],
  ["FROM scratch\ncopy Dockerfile /foo\ncopy Dockerfile /bar\ncopy Dockerfile /baz\n", [
    "ConsistentInstructionCasing 1: Command 'FROM' should match the case of the command majority (lowercase)",
  ]],
  ["from scratch\ncopy Dockerfile /foo\ncopy Dockerfile /bar\n", []],
  ["FROM scratch AS b\nFROM scratch AS b\nFROM scratch AS scratch\nFROM scratch AS context\n", [
    'DuplicateStageName 2: Duplicate stage name "b", stage names should be unique',
    'ReservedStageName 3: Stage name should not use the same name as reserved stage "scratch"',
    'ReservedStageName 4: Stage name should not use the same name as reserved stage "context"',
  ]],
  ["FROM scratch\nMAINTAINER me@example.org\n", [
    "MaintainerDeprecated 2: Maintainer instruction is deprecated in favor of using label",
  ]],
  ["FROM scratch\nCMD mycommand\nFROM scratch\nENTRYPOINT mycommand\n", [
    "JSONArgsRecommended 2: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
    "JSONArgsRecommended 4: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals",
  ]],
  ['FROM scratch\nSHELL ["/usr/bin/customshell"]\nCMD mycommand\n', []],
  ["FROM alpine\nCMD mycommand\n", [], { config: { Shell: ["/bin/zsh", "-c"] } }],
  ["FROM alpine\nCMD mycommand $x\n", [], { isUnknown: true }],
  ["FROM --platform=${BULIDPLATFORM:-linux/amd64} scratch AS a\nCOPY a .\n", [
    "UndefinedArgInFrom 1: FROM argument 'BULIDPLATFORM' is not declared (did you mean BUILDPLATFORM?)",
  ], { buildArgs: {} }],
  ["ARG MY_OS=linux\nARG MY_ARCH=amd64\nFROM --platform=linux/${MYARCH:-amd64} busybox\n", [
    "UndefinedArgInFrom 3: FROM argument 'MYARCH' is not declared (did you mean MY_ARCH?)",
  ]],
  ["ARG tag=latest\nFROM busybox:${tag}${version} AS b\nCOPY Dockerfile .\n", [
    "UndefinedArgInFrom 2: FROM argument 'version' is not declared",
  ]],
  ["ARG V\nFROM busybox:${V:-1}\n", []],
  ["FROM scratch\nWORKDIR app/\n", [
    'WorkdirRelativePath 2: Relative workdir "app/" can have unexpected results if the base image changes',
  ]],
  ["FROM scratch AS a\nWORKDIR /app\nWORKDIR sub/\nFROM a\nWORKDIR more\n", []],
  ["FROM scratch\nARG foo\nCOPY Dockerfile${foo} .\n", []],
  ["FROM scratch\nCOPY Dockerfile$foo .\nENV a=$PAHT\nEXPOSE $port 80\nUSER ${user:-root}\n", [
    "UndefinedVar 2: Usage of undefined variable '$foo'",
    "UndefinedVar 3: Usage of undefined variable '$PAHT' (did you mean $PATH?)",
    "UndefinedVar 4: Usage of undefined variable '$port'",
    "UndefinedVar 5: Usage of undefined variable '$user'",
  ]],
  ["FROM golang\nENV P=$GOPATH/bin\nRUN echo $nothing\n", [], { config: { Env: ["GOPATH=/go"] } }],
  ["FROM golang\nENV P=$GOPATH/bin\n", [], { isUnknown: true }],
  ["FROM scratch\nCOPY <<EOF <<'RAW' /x/\n$inner\nEOF\n$raw\nRAW\n", [
    "UndefinedVar 2: Usage of undefined variable '$inner'",
  ]],
  [
    'FROM scratch\nENTRYPOINT ["/a"]\nENTRYPOINT ["/b"]\nCMD ["x"]\nHEALTHCHECK CMD ["/c"]\nCMD ["y"]\nHEALTHCHECK CMD ["/d"]\n',
    [
      "MultipleInstructionsDisallowed 2: Multiple ENTRYPOINT instructions should not be used in the same stage because only the last one will be used",
      "MultipleInstructionsDisallowed 4: Multiple CMD instructions should not be used in the same stage because only the last one will be used",
      "MultipleInstructionsDisallowed 5: Multiple HEALTHCHECK instructions should not be used in the same stage because only the last one will be used",
    ],
  ],
  ["FROM scratch\nENV testkey value\nLABEL k v\nENV a=b\n", [
    'LegacyKeyValueFormat 2: "ENV key=value" should be used instead of legacy "ENV key value" format',
    'LegacyKeyValueFormat 3: "LABEL key=value" should be used instead of legacy "LABEL key value" format',
  ]],
  ["FROM busybox\n", [
    'InvalidBaseImagePlatform 1: Base image busybox was pulled with platform "linux/arm64", expected "linux/amd64" for current build',
  ], { architecture: "arm64" }],
  ["FROM --platform=$TARGETPLATFORM scratch\nFROM --platform=${TARGETPLATFORM} scratch\n", [
    "RedundantTargetPlatform 1: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    "RedundantTargetPlatform 2: Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant as this is the default behavior",
  ]],
  [
    "FROM scratch\nARG SECRET_PASSPHRASE\nENV SUPER_Secret=foo ENV_PRIVATE=x password=bar secret=baz\nARG super_duper_secret_token=foo auth=bar PUBLIC_KEY keyboard\nENV git_key= API_TOKEN=x\n",
    [
      'SecretsUsedInArgOrEnv 2: Do not use ARG or ENV instructions for sensitive data (ARG "SECRET_PASSPHRASE")',
      'SecretsUsedInArgOrEnv 3: Do not use ARG or ENV instructions for sensitive data (ENV "SUPER_Secret")',
      'SecretsUsedInArgOrEnv 3: Do not use ARG or ENV instructions for sensitive data (ENV "password")',
      'SecretsUsedInArgOrEnv 3: Do not use ARG or ENV instructions for sensitive data (ENV "secret")',
      'SecretsUsedInArgOrEnv 4: Do not use ARG or ENV instructions for sensitive data (ARG "super_duper_secret_token")',
      'SecretsUsedInArgOrEnv 4: Do not use ARG or ENV instructions for sensitive data (ARG "auth")',
      'SecretsUsedInArgOrEnv 5: Do not use ARG or ENV instructions for sensitive data (ENV "git_key")',
      'SecretsUsedInArgOrEnv 5: Do not use ARG or ENV instructions for sensitive data (ENV "API_TOKEN")',
    ],
  ],
  ["ARG VERSION\nFROM busybox:$VERSION\n", [
    "InvalidDefaultArgInFrom 2: Default value for ARG busybox:$VERSION results in empty or invalid base image name",
  ], { buildArgs: { VERSION: "1" } }],
  ["ARG IMAGE\nFROM $IMAGE\n", [
    "InvalidDefaultArgInFrom 2: Default value for ARG $IMAGE results in empty or invalid base image name",
  ], { buildArgs: { IMAGE: "busybox" } }],
  ['ARG SFX="box:"\nFROM busy${SFX}\n', [
    "InvalidDefaultArgInFrom 2: Default value for ARG busy${SFX} results in empty or invalid base image name",
  ], { buildArgs: { SFX: "box:latest" } }],
  ["ARG V=stable\nARG SUFFIX\nFROM busybox:$V$SUFFIX\nFROM busybox:${V:-latest}\n", []],
  ["ARG V\nFROM busybox:${V:?needed}\n", [], { buildArgs: { V: "1" } }],
  [
    "FROM --platform=linux/amd64 scratch\nFROM --platform=linux/amd64 scratch AS build_amd64\nFROM --platform=linux/amd64 scratch AS linux\n",
    [
      'FromPlatformFlagConstDisallowed 1: FROM --platform flag should not use constant value "linux/amd64"',
    ],
  ],
  [
    "# check=experimental=CopyIgnoredFile\nFROM scratch\nCOPY Dockerfile .\nADD ./doc/x /y\nCOPY --from=busybox Dockerfile /\nADD https://a/Dockerfile /\nCOPY ok /\n",
    [
      'CopyIgnoredFile 3: Attempting to Copy file "Dockerfile" that is excluded by .dockerignore',
      'CopyIgnoredFile 4: Attempting to Add file "./doc/x" that is excluded by .dockerignore',
    ],
    { ignore: ["Dockerfile", "doc"] },
  ],
  ["FROM scratch\nCOPY Dockerfile .\n", [], { ignore: ["Dockerfile"] }],
  [
    "# check=experimental=InvalidDefinitionDescription\n# bar this is the bar\nARG foo=bar\n# BasE this is the BasE image\nFROM scratch AS base\n# definitely a bad comment\nARG version=latest\n# definitely a bad comment\nARG baz=quux a\n# a describes\nARG b=1 a\n",
    [
      "InvalidDefinitionDescription 3: Comment for ARG should follow the format: `# foo <description>`",
      "InvalidDefinitionDescription 5: Comment for FROM should follow the format: `# base <description>`",
      "InvalidDefinitionDescription 7: Comment for ARG should follow the format: `# version <description>`",
      "InvalidDefinitionDescription 9: Comment for ARG should follow the format: `# <arg_key> <description>`",
    ],
  ],
  ["# check=experimental=all\n# x\n\nARG foo=bar\n# x\n#\nFROM scratch AS base\n# foo is it\nARG foo\n", []],
  ["FROM scratch\nEXPOSE 80/TcP 8080/TCP 8080/udp\nEXPOSE 127.0.0.1:80:80 5000-5005:5000-5005/tcp\n", [
    "ExposeProtoCasing 2: Defined protocol '80/TcP' in EXPOSE instruction should be lowercase",
    "ExposeProtoCasing 2: Defined protocol '8080/TCP' in EXPOSE instruction should be lowercase",
    "ExposeInvalidFormat 3: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'",
    "ExposeInvalidFormat 3: EXPOSE instruction should not define an IP address or host-port mapping, found '5000-5005:5000-5005/tcp'",
  ]],
  // What is not built is looked at only where that is asked for.
  ["FROM scratch AS first\nCOPY $foo .\nFROM scratch AS second\nCOPY $bar .\n", [
    "UndefinedVar 2: Usage of undefined variable '$foo'",
    "UndefinedVar 4: Usage of undefined variable '$bar'",
  ]],
  ["FROM scratch AS first\nCOPY $foo .\nFROM scratch AS second\nCOPY $bar .\n", [
    "UndefinedVar 4: Usage of undefined variable '$bar'",
  ], { isForAll: false }],
  ["# check=skip=all\nFROM scratch as Base\n", []],
  ["# check=skip=StageNameCasing,FromAsCasing\nFROM scratch as Base\nMAINTAINER x\n", [
    "MaintainerDeprecated 3: Maintainer instruction is deprecated in favor of using label",
  ]],
  ["# check=skip=all\nFROM scratch as base\nMAINTAINER x\n", [
    "MaintainerDeprecated 3: Maintainer instruction is deprecated in favor of using label",
  ], { override: "skip=FromAsCasing" }],
];

Deno.test("each rule finds what BuildKit's finds, and nothing in what is well", async () => {
  const seen = new Set<string>();
  for (const [text, expected, given] of CASES) {
    const lines = await found(text, given);
    assertEquals({ text, lines }, { text, lines: expected });
    for (const line of lines) seen.add(line.split(" ")[0]!);
  }
  assertEquals([...seen].sort(), Object.keys(CHECK_RULES).sort());
});

Deno.test("what is found before a mistake is told with it", async () => {
  const platform = "FROM --platform=$BULIDPLATFORM scratch\nCOPY Dockerfile .\n";
  const checker = new Checker(parseDockerfile(platform, "Dockerfile"));
  const message = await messageOf(() => check(platform, {}, checker));
  assertEquals(message, "empty platform value from expression $BULIDPLATFORM (did you mean BUILDPLATFORM?)");
  assertEquals(checker.findings.map(({ rule }) => rule), ["UndefinedArgInFrom"]);
  assertEquals(
    (await messageOf(() => check("ARG MY_ARCH=a\nFROM --platform=linux/${MYARCH} busybox\n")))
      .replace(/: .*\(/, ": … ("),
    "failed to parse platform linux/${MYARCH}: … (did you mean MY_ARCH?)",
  );
  const broken = "FROM scratch AS BadStageName\nMAINTAINER me@example.org\nBADCMD\n";
  const found: unknown[] = [];
  try {
    parseDockerfile(broken, "Dockerfile");
  } catch (error) {
    const options = { buildArgs: {} } as BuildOptions;
    tellFindingsBefore(
      error,
      options,
      (event) => void found.push(event.kind === "finding" && event.finding.rule),
    );
  }
  assertEquals(found, ["StageNameCasing", "MaintainerDeprecated"]);
});

Deno.test("findings carry their rule's description and page; error=true makes them an error", async () => {
  const checker = await check("# check=error=true\nFROM scratch as Base\n");
  assertEquals(checker.findings[0], {
    rule: "StageNameCasing",
    description: "Stage names should be lowercase",
    url: "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/",
    detail: "Stage name 'Base' should be lowercase",
    location: { startLine: 2, endLine: 2 },
  });
  assertEquals(checker.error?.message, "lint violation found for rules: FromAsCasing, StageNameCasing");
  assertEquals(checker.error?.source?.location, { startLine: 2, endLine: 2 });
  assertEquals((await check("# check=error=true\nFROM scratch\n")).error, undefined);
  assertEquals((await check("FROM scratch as Base\n")).error, undefined);
  assertIncludes(
    await messageOf(() => check("FROM scratch\n", { override: "foo=1" })),
    'invalid check option "foo"',
  );
  const urls: [RuleName, string][] = [
    ["JSONArgsRecommended", "json-args-recommended"],
    ["SecretsUsedInArgOrEnv", "secrets-used-in-arg-or-env"],
    ["FromPlatformFlagConstDisallowed", "from-platform-flag-const-disallowed"],
    ["UndefinedArgInFrom", "undefined-arg-in-from"],
  ];
  for (const [rule, slug] of urls) {
    assertEquals(ruleUrl(rule), `https://docs.docker.com/go/dockerfile/rule/${slug}/`);
  }
});
