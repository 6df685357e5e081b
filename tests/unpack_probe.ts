/**
 * Unpacks the layers of an image the way a pull does, then makes one tree of them; run as root or as the test user.
 *
 * `unpack_probe.ts DATA_FOLDER JOBS.json`: gives the form on stdout, or the error on stderr and status 1.
 */
import { namespaceContext } from "../runtime/namespaces/context.ts";
import { openFolders } from "../runtime/state/folders.ts";
import { flattenLayers } from "../runtime/storage/flatten.ts";
import { layerForm, type LayerJob, layerPath, startExtraction } from "../runtime/storage/layers.ts";

const [data, file] = Deno.args;
const folders = openFolders({ data, run: `${data}/run` });
const context = { folders, namespaces: namespaceContext(folders.run) };
const form = layerForm(context.namespaces);
const jobs = JSON.parse(Deno.readTextFileSync(file!)) as Omit<LayerJob, "form">[];
try {
  for (const job of jobs) {
    const extraction = await startExtraction(context, { ...job, form });
    extraction.grow(job.size);
    await extraction.finish();
  }
  Deno.mkdirSync(`${data}/flat`, { recursive: true });
  const layers = jobs.map(({ diffId }) => layerPath(folders, diffId, form)).reverse();
  await flattenLayers(context, layers, `${data}/flat`, "rootfs");
} catch (error) {
  console.error((error as Error).message);
  Deno.exit(1);
}
console.log(form);
