/**
 * Addresses of repositories, with what they say of the part that is wanted.
 *
 * @see Docker documentation, "Git repositories"; BuildKit frontend/dockerfile/dfgitutil, util/gitutil
 */

import { BuildError } from "../../errors.ts";
import { printable } from "../../spec/printable.ts";
import { parseBool } from "../dockerfile/directives.ts";

/** `github.com/a/b` is none: where it may be a folder as well, that is for the caller to say. */
export function isGitAddress(text: string): boolean {
  return /^(git|ssh):\/\//.test(text) || /^[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:./.test(text) ||
    /^https?:\/\/[^?#]+\.git([?#].*)?$/.test(text);
}

/** An address with what its fragment or query says. */
export interface GitAddress {
  remote: string;
  /** Branch, tag or commit; undefined: the remote's HEAD. */
  ref?: string;
  subdir?: string;
  /** The commit that it must be, or its beginning. */
  checksum?: string;
  keepGitDir?: boolean;
  /** False: they stay empty. */
  submodules?: boolean;
}

/**
 * `https://host/repo.git#ref:folder`, `git@host:repo.git`, or with `?branch=`, `tag=`, `ref=`, `commit=`, `subdir=`,
 * `keep-git-dir=`, `submodules=`.
 *
 * @throws {BuildError}
 */
export function parseGitAddress(text: string): GitAddress {
  const hash = text.indexOf("#");
  let remote = hash === -1 ? text : text.slice(0, hash);
  const fragment = hash === -1 ? "" : text.slice(hash + 1);
  const colon = fragment.indexOf(":");
  const address: GitAddress = { remote };
  const ref = colon === -1 ? fragment : fragment.slice(0, colon);
  if (ref !== "") address.ref = ref;
  if (colon !== -1 && fragment.slice(colon + 1) !== "") address.subdir = fragment.slice(colon + 1);
  const query = remote.indexOf("?");
  if (query !== -1 && /^[a-z]+:\/\//.test(remote)) {
    for (const [name, value] of new URLSearchParams(remote.slice(query + 1))) {
      if (name === "branch") address.ref = `refs/heads/${value}`;
      else if (name === "tag") address.ref = `refs/tags/${value}`;
      else if (name === "ref") address.ref = value;
      else if (name === "subdir") address.subdir = value;
      else if (name === "commit" || name === "checksum") address.checksum = value;
      else if (name === "keep-git-dir" || name === "submodules") {
        const truth = value === "" ? true : parseBool(value);
        if (truth === undefined) {
          throw new BuildError(`use git address "${printable(text)}": ${name} is neither true nor false`);
        }
        address[name === "submodules" ? name : "keepGitDir"] = truth;
      } else {throw new BuildError(
          `use git address "${printable(text)}": unexpected query parameter "${printable(name)}"`,
        );}
    }
    remote = remote.slice(0, query);
  }
  if (address.ref === undefined && address.checksum !== undefined) address.ref = address.checksum;
  if (/^github\.com\//.test(remote)) remote = `https://${remote}`;
  address.remote = remote;
  // what begins with a dash is an option, wherever it stands
  for (const word of [remote, address.ref ?? "", address.checksum ?? ""]) {
    if (word.startsWith("-") || /[\0\n]/.test(word)) {
      throw new BuildError(`use git address "${printable(text)}": malformed`);
    }
  }
  if (/[\s~^:?*[\\]/.test(address.ref ?? "")) {
    throw new BuildError(
      `use git address "${printable(text)}": "${printable(address.ref!)}" is no branch, tag or commit`,
    );
  }
  if (address.checksum !== undefined && !/^[0-9a-f]{7,64}$/.test(address.checksum)) {
    throw new BuildError(`use git address "${printable(text)}": its checksum is no commit`);
  }
  return address;
}
