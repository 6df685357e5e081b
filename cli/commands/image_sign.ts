/** @see podman-image-sign(1) */

import { imageSign } from "../../runtime/engine/image_sign.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { REGISTRY_FLAGS } from "../flags/registry_login.ts";

export const command = defineCommand({
  usage: "[options] docker://IMAGE...",
  description:
    "Signs images that are at a registry by a key of gpg's. The signatures are written below the\n" +
    "lookaside of registries.d (~/.local/share/containers/sigstore), where policies that ask for\n" +
    "signedBy find them. To sign what is pushed, see skiff push --sign-by.",
  examples: ["skiff image sign --sign-by team@example.com docker://registry.example.com/team/app:1"],
  flags: {
    all: { kind: "bool", short: "a", help: "Sign every image of a list, too" },
    authfile: REGISTRY_FLAGS.authfile,
    "cert-dir": REGISTRY_FLAGS["cert-dir"],
    directory: { kind: "string", short: "d", value: "DIR", help: "Write signatures below DIR" },
    "sign-by": { kind: "string", value: "KEY", help: "The key, named by its fingerprint" },
    "tls-verify": REGISTRY_FLAGS["tls-verify"],
  },
  arity: { min: 1 },
  async run({ options, given, args }) {
    const key = options["sign-by"];
    if (!key) throw new InvalidArgumentError("please provide an identity");
    await imageSign(args, {
      key,
      all: options.all,
      directory: options.directory || undefined,
      authFile: options.authfile,
      certDir: options["cert-dir"],
      tlsVerify: given.has("tls-verify") ? options["tls-verify"] : undefined,
    });
  },
});
