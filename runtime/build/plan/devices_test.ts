import { assertEquals, messageOf } from "../../../tests/assertions.ts";
import { parseDevice } from "./devices.ts";

const FORMS: [text: string, name: string, isRequired: boolean][] = [
  ["vendor1.com/device=foo", "vendor1.com/device=foo", false],
  ["vendor1.com/device=*,required", "vendor1.com/device=*", true],
  ["required,gpu", "gpu", true],
  ["name=vendor1.com/device,required=false", "vendor1.com/device", false],
  ['"name=a,b",required=true', "a,b", true],
];

const WRONG: [text: string, message: string][] = [
  ["gpu,name=other", "device name already set to gpu"],
  ["gpu,other", "invalid field 'other' must be a key=value pair"],
  ["gpu,require=true", "unexpected key 'require' in 'require=true' (did you mean required?)"],
  ["gpu,required=yes", "invalid value for required: yes"],
];

Deno.test("--device of RUN has a name, and says whether there must be one", async () => {
  for (const [text, name, isRequired] of FORMS) assertEquals(parseDevice(text), { name, isRequired });
  for (const [text, message] of WRONG) assertEquals(await messageOf(() => parseDevice(text)), message);
});
