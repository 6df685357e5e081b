/**
 * `RUN --device=NAME[,required]`: devices by the names that CDI gives them. Which of them there are is looked up when the
 * step is run.
 *
 * @see BuildKit frontend/dockerfile/instructions/commands_rundevice.go
 */

import { InvalidArgumentError } from "../../errors.ts";
import { splitFields } from "../../spec/csv.ts";
import { didYouMean } from "../dockerfile/suggest.ts";
import type { RunStep } from "../step.ts";
import { readBoolean } from "./mount.ts";

export type StepDevice = NonNullable<RunStep["devices"]>[number];

/** Fields in any order; the first that is none of the keys is the name. */
export function parseDevice(text: string): StepDevice {
  let name = "", isRequired = false;
  for (const field of splitFields(text)) {
    const at = field.indexOf("=");
    const key = (at < 0 ? field : field.slice(0, at)).toLowerCase();
    const value = at < 0 ? undefined : field.slice(at + 1);
    if (key === "required") {
      isRequired = value === undefined || readBoolean(value, key);
    } else if (key === "name" && value !== undefined) {
      if (name !== "") throw new InvalidArgumentError(`device name already set to ${name}`);
      name = value;
    } else if (name === "") name = field;
    else if (value === undefined) {
      throw new InvalidArgumentError(`invalid field '${field}' must be a key=value pair`);
    } else {
      throw new InvalidArgumentError(
        `unexpected key '${key}' in '${field}'${didYouMean(key, ["name", "required"])}`,
      );
    }
  }
  return { name, isRequired };
}
