/** The tree of a Go template, and how Go writes its parts back in error messages. */

export interface Position {
  pos: number;
}

export type Expression =
  | Position & { type: "field"; names: string[] }
  | Position & { type: "variable"; names: string[] }
  | Position & { type: "chain"; node: Expression; names: string[] }
  | Position & { type: "identifier"; name: string }
  | Position & { type: "string"; quoted: string; value: string }
  | Position & { type: "number"; text: string; value: number }
  | Position & { type: "bool"; value: boolean }
  | Position & { type: "nil" }
  | Position & { type: "dot" }
  | Pipeline;

export interface Command extends Position {
  args: Expression[];
}

export interface Pipeline extends Position {
  type: "pipe";
  /** `=` instead of `:=`. */
  isAssign: boolean;
  variables: string[];
  commands: Command[];
}

export type Branch = Position & { pipe: Pipeline; list: Node[]; elseList?: Node[] };

export type Node =
  | Position & { type: "text"; text: string }
  | Position & { type: "action"; pipe: Pipeline }
  | Branch & { type: "if" | "range" | "with" }
  | Position & { type: "template"; name: string; pipe?: Pipeline }
  | Position & { type: "break" | "continue" };

export interface Tree {
  name: string;
  text: string;
  root: Node[];
  /** From `define` and `block`. */
  defined: Map<string, Node[]>;
}

/** A node as Go writes it back, for error messages: `printf "%s" .Name`. */
export function describe(node: Expression): string {
  switch (node.type) {
    case "field":
      return node.names.map((name) => `.${name}`).join("");
    case "variable":
      return node.names.join(".");
    case "chain": {
      const inner = node.node.type === "pipe" ? `(${describe(node.node)})` : describe(node.node);
      return inner + node.names.map((name) => `.${name}`).join("");
    }
    case "identifier":
      return node.name;
    case "string":
      return node.quoted;
    case "number":
      return node.text;
    case "bool":
      return String(node.value);
    case "nil":
      return "nil";
    case "dot":
      return ".";
    case "pipe": {
      const assign = node.variables.length > 0
        ? `${node.variables.join(", ")} ${node.isAssign ? "=" : ":="} `
        : "";
      return assign + node.commands.map(describeCommand).join(" | ");
    }
  }
}

/** A command as Go writes it back. */
export function describeCommand(command: Command): string {
  return command.args.map((arg) => arg.type === "pipe" ? `(${describe(arg)})` : describe(arg)).join(" ");
}
