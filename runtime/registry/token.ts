/**
 * From a challenge to an `Authorization` header: basic logins, and tokens from the realm that a registry names.
 *
 * @see distribution-spec, "Token Authentication Specification" and "OAuth2 Token Authentication"
 */
import type { Credentials } from "../config/auth_file.ts";
import { RegistryError, UnauthorizedError } from "../errors.ts";
import { checkTargetUrl, type Sender } from "./address.ts";
import type { Challenge } from "./challenge.ts";
import { answerError } from "./error_answer.ts";
import { readAll, type Transport } from "./transport.ts";

const TOKEN_ANSWER_LIMIT_BYTES = 1 << 20;
const LOGIN_HINT = "the image may not exist, or needs a login in auth.json";

export interface AuthRequest {
  challenges: Challenge[];
  /** The registry, as it was reached. */
  sender: Sender;
  /** `repository:library/busybox:pull`; several are separated by blanks */
  scope: string;
  credentials: Credentials | null;
}

/** @throws UnauthorizedError where no challenge can be answered; RegistryError for a realm that is refused */
export async function answerChallenge(transport: Transport, request: AuthRequest): Promise<string> {
  const { challenges, sender, credentials } = request;
  const bearer = challenges.find((c) => c.scheme === "bearer" && c.parameters.realm !== undefined);
  if (bearer !== undefined) return `Bearer ${await fetchToken(transport, bearer, request)}`;
  if (!challenges.some((c) => c.scheme === "basic")) {
    throw new UnauthorizedError(
      `log in at ${sender.host}: it names no way to log in that is known here`,
      401,
    );
  }
  if (credentials === null || !("username" in credentials)) {
    throw new UnauthorizedError(`log in at ${sender.host}: there is no login for it`, 401, {
      hint: LOGIN_HINT,
    });
  }
  return basic(credentials);
}

async function fetchToken(transport: Transport, challenge: Challenge, request: AuthRequest): Promise<string> {
  const { sender, credentials, scope } = request;
  const action = `log in at ${sender.host}`;
  const realm = URL.parse(challenge.parameters.realm ?? "");
  if (realm === null) throw new RegistryError(`${action}: its token realm is no url`, 401);
  // Before any connection, so that not even a look-up is made for a realm that is refused.
  checkTargetUrl("token realm", sender, realm);
  realm.hash = "";
  const service = challenge.parameters.service;
  const common = { insecure: sender.insecure, sender, role: "token realm" };
  const isRefresh = credentials !== null && "identityToken" in credentials;
  if (!isRefresh) {
    if (service !== undefined) realm.searchParams.set("service", service);
    for (const one of scope.split(" ")) if (one !== "") realm.searchParams.append("scope", one);
    if (credentials !== null) realm.searchParams.set("account", credentials.username);
  }
  const response = isRefresh
    ? await transport.request({
      ...common,
      method: "POST",
      url: realm,
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: new TextEncoder().encode(
        new URLSearchParams({
          grant_type: "refresh_token",
          client_id: "skiff",
          service: service ?? "",
          ...(scope === "" ? {} : { scope }),
          refresh_token: credentials.identityToken,
        }).toString(),
      ),
    })
    : await transport.request({
      ...common,
      method: "GET",
      url: realm,
      ...(credentials === null ? {} : { authorization: basic(credentials) }),
    });
  if (response.status !== 200) throw await answerError(action, response);
  return readToken(action, await readAll("token answer", response, TOKEN_ANSWER_LIMIT_BYTES));
}

/** @throws RegistryError for an answer without a usable token; its text is not shown, it may be one */
export function readToken(action: string, bytes: Uint8Array): string {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new RegistryError(`${action}: the token server's answer is no JSON`, 200);
  }
  const fields = (json ?? {}) as { token?: unknown; access_token?: unknown };
  const token = fields.token ?? fields.access_token;
  if (typeof token !== "string" || !/^[\x21-\x7e]{1,65536}$/.test(token)) {
    throw new RegistryError(`${action}: the token server's answer has no token`, 200);
  }
  return token;
}

function basic(login: { username: string; password: string }): string {
  return `Basic ${new TextEncoder().encode(`${login.username}:${login.password}`).toBase64()}`;
}
