/** The context of the forms: files, folders, links, archives, and what the image begins with. */

import type { Host } from "../harness.ts";

/** Everything has this time, so that it can be seen which files keep theirs. */
export const CONTEXT_TIME = 1_577_934_245;

const SCRIPT = `
umask 022
mkdir -p d/sub d/empty e r/1 r/2/deep base/etc base/usr/lib base/real base/t/43/sub in/folder stage
echo f >f.txt; echo x >x.sh; chmod 755 x.sh; echo s >suid; chmod 4755 suid; echo p >private; chmod 600 private
echo a >d/a; echo b >d/b.txt; echo c >d/sub/c.txt; echo h >d/.hidden; ln -s a d/link
echo 1 >d/hard1; ln d/hard1 d/hard2; chmod 750 d; chmod 711 d/sub
echo eb >e/b.txt; echo ez >e/z; ln -s nowhere e/dangling; ln -s /etc/passwd e/absolute
ln -s f.txt top; ln -s d dlink; echo w >'with space'; mkdir q; echo arr >'q/arr[0].txt'
echo go1 >r/1/x.go; echo go2 >r/2/x.go; echo c >r/2/y.c; echo z >r/2/deep/z.go
printf 'root:x:0:0::/:\\nalice:x:1000:1001::/:\\n' >base/etc/passwd
printf 'root:x:0:\\nstaff:x:50:\\nalice:x:1001:\\n' >base/etc/group
ln -s usr/lib base/lib; ln -s /real/file base/flink; echo old >base/real/file; ln -s /t/made base/t/newlink
echo keep >base/t/43/keep; chmod 700 base/t/43/sub; mkdir base/t/file-there; echo no >base/t/is-file
echo in >in/folder/file; chmod 640 in/folder/file; ln -s ../../../outside in/folder/climbing
tar -C in --owner=7 --group=8 -cf a.tar folder; gzip -9n <a.tar >a.tar.gz; echo plain | gzip -9n >plain.gz
bzip2 <a.tar >a.tar.bz2; xz <a.tar >a.tar.xz; zstd -q <a.tar >a.tar.zst
echo o >stage/o; find . -exec touch -h -d @${CONTEXT_TIME} {} +
`;

/** Makes it in the test user's home. */
export async function makeContext(host: Host): Promise<string> {
  const folder = `${host.home}/context`;
  await Deno.mkdir(folder);
  await host.own(folder);
  const { code, stderr } = await host.sh(SCRIPT, { cwd: folder });
  if (code !== 0) throw new Error(`make the context: ${stderr}`);
  return folder;
}
