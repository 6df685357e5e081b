/** Lines of `build`, whose words for people are BuildKit's: what they come to is the same. */

import type { Case, Group } from "./table.ts";

/** A build's id as docker prints it. */
const idOf = (line: string): Case => ({
  line,
  differs: { stdout: "docker's `sha256:ID`, podman's bare id" },
});

const EXCERPT = "skiff shows where in the Dockerfile, as docker does";
const FAILED = "a build that fails ends with 1, as docker's; 125 is for wrong calls";

export const BUILDS: Group = {
  name: "builds",
  setUp: [
    "mkdir b; echo hi >b/x; echo no >b/ignored; echo ignored >b/.dockerignore",
    "printf 'FROM scratch AS first\\nARG V=1\\nCOPY . /d/\\nFROM scratch\\nARG W=w\\nCOPY --from=first /d/x /x\\n" +
    'ENV A=$W\\nLABEL a=b\\nUSER 7\\nWORKDIR /w\\nEXPOSE 80\\nVOLUME /v\\nENTRYPOINT ["/x"]\\nCMD ["y"]\\n\' >b/Dockerfile',
  ],
  cases: [
    idOf("E build -q -t built b"),
    idOf(
      "E build -q -t built:2 --build-arg W=other --label c=d --iidfile id b; grep -cE '^(sha256:)?[0-9a-f]{64}$' id",
    ),
    "E inspect --type image -f '{{.Config.User}} {{.Config.WorkingDir}} {{.Config.Entrypoint}} {{.Config.Cmd}}' built",
    "E inspect --type image -f '{{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{.Config.Env}}' built:2",
    'E inspect --type image -f \'{{index .Config.Labels "a"}} {{index .Config.Labels "c"}}\' built:2',
    {
      line:
        "E create -q --network=none --name c built; E export c | tar -t | grep -vE '^(dev|etc|proc|run|sys)/'; E rm c",
      differs: {
        stdout:
          "WORKDIR makes its folder at once, as the Dockerfile reference says; podman 4.3 with the next step",
      },
    },
    idOf("E image build -q -t built:3 --target first b"),
    "E create -q --network=none --name d built:3 x; E export d | tar -t | grep ^d/; E rm d",
    idOf("E builder build -q b"),
    idOf("E buildx build -q b"),
    idOf("E build -q -f b/Dockerfile -f - b </dev/null"),
    { line: "E build -q -f nowhere b", differs: { stderr: EXCERPT } },
    { line: "E build -q nowhere", differs: { code: FAILED } },
    { line: "E build -q --target nowhere b", differs: { code: FAILED } },
    {
      line: "E build -q --pull=sometimes b",
      differs: {
        code: "podman 4.3 takes any word for true",
        stdout: "podman 4.3 takes any word for true",
        stderr: "podman 4.3 takes any word for true",
      },
    },
    "E build --badflag b",
    { line: "printf 'FROM scratch\\nNONSENSE x\\n' | E build -q -f - b", differs: { code: FAILED } },
    {
      line: "printf 'FROM scratch\\nCOPY nowhere /\\n' | E build -q -f - b",
      differs: { code: FAILED, stderr: EXCERPT },
    },
    {
      line: "printf 'COPY x /\\n' | E build -q -f - b",
      differs: { code: FAILED, stderr: EXCERPT },
    },
    {
      line: "E builder prune -f | wc -l",
      differs: { stdout: "podman prunes images, skiff and docker the build cache, with its size" },
    },
    "E images --format '{{.Repository}}:{{.Tag}}' | sort",
  ],
};
