/** A Debian repository on the spot: one package that does what makes packages fail where ids cannot be changed. */

/**
 * Unpacked, it has files of other owners, a setgid program and a device; configured, it makes a user, gives files
 * away and does work as that user, as servers' packages do.
 */
const POSTINST = `#!/bin/sh
set -e
useradd --system --home-dir /var/lib/owned --shell /usr/sbin/nologin owned
dpkg-statoverride --update --add owned adm 0750 /var/lib/owned
chown -R owned:owned /var/lib/owned/data
chgrp mail /var/lib/owned/data/spool
install -o owned -g mail -m 2770 -d /var/lib/owned/mail
su -s /bin/sh owned -c 'echo made > /var/lib/owned/made'
`;
/** Which no user namespace allows: a single id must pretend it. */
const MAKE_DEVICE = "mknod /var/lib/owned/null c 1 3\n";

const CONTROL = `Package: owned
Version: 1.0
Architecture: all
Maintainer: nobody <nobody@localhost>
Description: a package with owners
`;

/**
 * Makes the repository at `folder`; `deb [trusted=yes] file:/… ./` names it. Gives the folder. With `device` the package
 * makes a device node as well.
 */
export async function makeAptRepository(folder: string, { device = true } = {}): Promise<string> {
  const tree = `${folder}/tree`;
  await Deno.mkdir(`${tree}/DEBIAN`, { recursive: true });
  await Deno.mkdir(`${tree}/var/lib/owned/data/spool`, { recursive: true });
  await Deno.mkdir(`${tree}/usr/bin`, { recursive: true });
  await Deno.writeTextFile(`${tree}/DEBIAN/control`, CONTROL);
  await Deno.writeTextFile(`${tree}/DEBIAN/postinst`, POSTINST + (device ? MAKE_DEVICE : ""), {
    mode: 0o755,
  });
  await Deno.writeTextFile(`${tree}/usr/bin/owned`, "#!/bin/sh\necho owned runs\n");
  await Deno.chown(`${tree}/usr/bin/owned`, 0, 8);
  await Deno.chmod(`${tree}/usr/bin/owned`, 0o2755);
  await Deno.chown(`${tree}/var/lib/owned/data`, 33, 33);
  await Deno.chmod(folder, 0o755);
  await run(["dpkg-deb", "--build", tree, `${folder}/owned.deb`], folder);
  await Deno.remove(tree, { recursive: true });
  await Deno.writeTextFile(
    `${folder}/Packages`,
    await run(["dpkg-scanpackages", "--multiversion", "."], folder),
  );
  return folder;
}

async function run([program, ...args]: string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program!, { args, cwd }).output();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
