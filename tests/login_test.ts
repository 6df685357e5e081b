/** Logins: tried at the registry, kept in auth.json or by a helper, used by pull, forgotten. */
import { busyboxImage, pushImage } from "./images.ts";
import { assertEquals, assertIncludes, assertMatch, type Host, hostTest, LocalRegistry } from "./harness.ts";
import { HTPASSWD, startTlsRegistry } from "./tls_registry.ts";

/** A registry that asks for a login, with a busybox of two tags. */
async function closedRegistry(host: Host): Promise<LocalRegistry> {
  const storage = `${host.folder}/registry`;
  await Deno.mkdir(storage);
  {
    await using open = await LocalRegistry.start({ storage });
    for (const tag of ["1", "2"]) {
      await pushImage(open, "team/box", tag, await busyboxImage({ Labels: { tag } }));
    }
  }
  const htpasswdFile = `${host.folder}/htpasswd`;
  await Deno.writeTextFile(htpasswdFile, HTPASSWD);
  const registry = await LocalRegistry.start({ storage, htpasswdFile });
  await host.declareInsecure(registry.address);
  return registry;
}

hostTest(
  "login keeps what the registry takes, and logout forgets it",
  { needs: ["registry", "busybox"] },
  async (host) => {
    await using registry = await closedRegistry(host);
    const { address } = registry;
    const file = `${host.home}/.config/containers/auth.json`;
    const refused = async (words: string[], message: string, stdin = "") => {
      const { code, stdout, stderr } = await host.skiff(words, { stdin });
      assertEquals([code, stdout, stderr.split("\n")[0]], [125, "", `Error: ${message}`]);
    };
    await refused(["login", "--get-login", address], `not logged into ${address}`);
    await refused(
      ["login", "-u", "me", "-p", "wrong", address],
      `logging into "${address}": invalid username/password`,
    );
    await refused(["login", "--password-stdin", address], "Must provide --username with --password-stdin");
    await refused(["login", "-u", "me", address], "read password: stdin is no terminal");
    await refused(
      ["pull", `${address}/team/box:1`],
      `pull ${address}/team/box:1: log in at ${address}: there is no login for it`,
    );
    assertEquals(await Deno.stat(file).catch(() => null), null);

    const used = await host.skiff(["login", "-v", "-u", "me", "--password-stdin", `http://${address}/`], {
      stdin: "secret\n",
    });
    assertEquals([used.code, used.stdout], [0, `Used:  ${file}\nLogin Succeeded!\n`], used.stderr);
    assertEquals((await Deno.stat(file)).mode! & 0o777, 0o600);
    assertEquals(JSON.parse(await Deno.readTextFile(file)), {
      auths: { [address]: { auth: btoa("me:secret") } },
    });
    assertEquals(await host.ok("login", "--get-login", address), "me");
    assertEquals(
      await host.ok("login", address),
      `Authenticating with existing credentials for ${address}\n` +
        `Existing credentials are valid. Already logged in to ${address}`,
    );
    const ids = (await host.ok("pull", "-q", "--all-tags", `${address}/team/box`)).split("\n");
    assertEquals(new Set(ids).size, 2);
    assertEquals(await host.ok("images", "--filter", "label=tag=2", "--format", "{{.Tag}}"), "2");
    await refused(
      ["pull", "-a", `${address}/team/box:1`],
      `pull all tags of "${address}/team/box:1": the name must be without a tag or digest`,
    );
    for (const tag of ["1", "2"]) {
      await host.ok("tag", `${address}/team/box:${tag}`, `${address}/team/copy:${tag}`);
    }
    await host.ok("push", "-q", "-a", `${address}/team/copy`);
    assertEquals(
      (await host.ok("pull", "-q", "-a", `${address}/team/copy`)).split("\n").sort(),
      ids.toSorted(),
    );
    await refused(["push", "-a", `${address}/none`], `push all tags of "${address}/none": there is none`);

    // other logins of the file, and what we know nothing of, stay
    await Deno.writeTextFile(
      file,
      JSON.stringify({
        auths: { "quay.io": { auth: "eDp5" }, [address]: { auth: btoa("me:old") } },
        HttpHeaders: { a: "b" },
      }),
    );
    const renewed = host.pty(["login", address]);
    await renewed.expect(`Username (me): `);
    await renewed.write("\r");
    await renewed.expect("Password: ");
    await renewed.write("secrex\x7ft\r");
    const seen = await renewed.expect("Login Succeeded!");
    assertEquals([await renewed.wait(), seen.includes("secre")], [0, false]);
    assertEquals(JSON.parse(await Deno.readTextFile(file)), {
      auths: { "quay.io": { auth: "eDp5" }, [address]: { auth: btoa("me:secret") } },
      HttpHeaders: { a: "b" },
    });
    const stopped = host.pty(["login", "-u", "me", address]);
    await stopped.expect("Password: ");
    await stopped.write("sec\x03");
    assertEquals(await stopped.wait(), 130);

    assertEquals(await host.ok("logout", address), `Removed login credentials for ${address}`);
    assertEquals(Object.keys(JSON.parse(await Deno.readTextFile(file)).auths), ["quay.io"]);
    await refused(["logout", address], `not logged into ${address}`);
    assertEquals(await host.ok("logout", "--all"), "Removed login credentials for all registries");
    assertEquals(JSON.parse(await Deno.readTextFile(file)).auths, {});

    // a login for one pull, kept nowhere
    await host.ok("rmi", "-a");
    await refused(
      ["pull", "--creds", "me:wrong", `${address}/team/box:1`],
      `pull ${address}/team/box:1: authentication required (status 401)`,
    );
    await host.ok("pull", "-q", "--creds", "me:secret", `${address}/team/box:1`);
    assertEquals(JSON.parse(await Deno.readTextFile(file)).auths, {});

    // docker's login is found, and left to docker
    await Deno.mkdir(`${host.home}/.docker`);
    await Deno.writeTextFile(
      `${host.home}/.docker/config.json`,
      JSON.stringify({ auths: { [address]: { auth: btoa("me:secret") } } }),
    );
    await host.own(`${host.home}/.docker`, `${host.home}/.docker/config.json`);
    assertEquals(await host.ok("login", "--get-login", address), "me");
    const left = await host.skiff(["logout", address]);
    assertIncludes(left.stderr, "existing credentials were established by another");
    // a file that is named, and one that is not there
    const own = `${host.home}/a/b/auth.json`;
    await host.ok("login", "-u", "me", "-p", "secret", "--authfile", own, address);
    assertEquals(await host.ok("login", "--get-login", "--authfile", own, address), "me");
    await refused(
      ["logout", "--authfile", "/nope", address],
      "checking authfile: stat /nope: no such file or directory",
    );
  },
);

hostTest(
  "a credential helper keeps logins, by its stdin alone",
  { needs: ["registry", "busybox"] },
  async (host) => {
    await using registry = await closedRegistry(host);
    const { address } = registry;
    const bin = `${host.home}/bin`;
    await Deno.mkdir(bin);
    // keeps one login in a file, and writes down what it was called with
    await Deno.writeTextFile(
      `${bin}/docker-credential-box`,
      `#!/bin/sh
echo "$0 $*" >> $HOME/called
env >> $HOME/called
case $1 in
store) cat > $HOME/kept ;;
get) if [ -e $HOME/kept ]; then cat $HOME/kept; else echo "credentials not found in native keychain"; exit 1; fi ;;
erase) rm $HOME/kept ;;
esac
`,
      { mode: 0o755 },
    );
    const file = `${host.home}/.config/containers/auth.json`;
    await Deno.writeTextFile(file, JSON.stringify({ credHelpers: { [address]: "box" } }));
    await host.own(file, bin);
    const env = { PATH: `${bin}:${host.env.PATH}`, REGISTRY_PASSWORD: "not for helpers" };
    const skiff = async (words: string[], stdin = "") => {
      const { code, stdout, stderr } = await host.skiff(words, { env, stdin });
      assertEquals(code, 0, stderr);
      return stdout;
    };
    assertEquals(
      await skiff(["login", "-u", "me", "--password-stdin", address], "secret"),
      "Login Succeeded!\n",
    );
    assertEquals(JSON.parse(await Deno.readTextFile(`${host.home}/kept`)), {
      ServerURL: address,
      Username: "me",
      Secret: "secret",
    });
    assertEquals(JSON.parse(await Deno.readTextFile(file)), { credHelpers: { [address]: "box" } });
    assertEquals(await skiff(["login", "--get-login", address]), "me\n");
    await skiff(["pull", "-q", `${address}/team/box:1`]);
    assertEquals(await skiff(["logout", address]), `Removed login credentials for ${address}\n`);
    assertEquals(await Deno.stat(`${host.home}/kept`).catch(() => null), null);
    const called = await Deno.readTextFile(`${host.home}/called`);
    assertMatch(called, /docker-credential-box store\n/);
    assertMatch(called, /docker-credential-box erase\n/);
    for (const secret of ["secret", "not for helpers"]) assertEquals(called.includes(secret), false, secret);
  },
);

hostTest(
  "login verifies certificates unless told otherwise",
  { needs: ["registry", "openssl"] },
  async (host) => {
    const { registry: started, certificate } = await startTlsRegistry(host);
    await using registry = started;
    const { address } = registry;
    const login = (...words: string[]) =>
      host.skiff(["login", "-u", "me", "--password-stdin", ...words, address], { stdin: "secret" });
    const refused = await login();
    assertEquals([refused.code, refused.stdout], [125, ""]);
    assertMatch(refused.stderr, /certificate/);
    assertEquals((await login("--tls-verify=false")).stdout, "Login Succeeded!\n");
    // control: whoever vouches for it is named
    const certs = `${host.home}/certs`;
    await Deno.mkdir(certs);
    await Deno.copyFile(certificate, `${certs}/ca.crt`);
    await host.own(certs, `${certs}/ca.crt`);
    const trusted = await login("--cert-dir", certs);
    assertEquals([trusted.code, trusted.stdout], [0, "Login Succeeded!\n"], trusted.stderr);
  },
);
