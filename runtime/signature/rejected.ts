/** Why one signature does not count. Another one of the same image may. */
export class RejectedSignature extends Error {
  override name = "RejectedSignature";
}
