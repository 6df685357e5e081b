/** What is measured in a store that has been used for long: many containers, many images. */

/** As bench.ts has it. */
export interface StoreFigure {
  name: string;
  title: string;
  sample: string;
  limit: number;
}

/** Fills an engine's store: stopped containers c1, c2 …, images, one container that has written, one that can run. */
export function fillStore(containers: number, images: number): string {
  return `cd $(mktemp -d)
  for i in $(seq ${images}); do echo $i >f; tar c f | $E import -q - bench:$i; done
  $E run --name talk --network none $I sh -c 'i=0; while [ $((i+=1)) -le 10000 ]; do echo line $i; done'
  $E create --name on --network none --stop-timeout 0 $I sleep 100000
  for i in $(seq ${containers}); do $E create --name c$i --network none $I true; done`;
}

export const EMPTY_STORE =
  "$E rm -fa -t 0 >/dev/null; $E rmi -fa >/dev/null; $E pull -q --tls-verify=false $I";

const LIMIT = 0.7;

export const STORE_FIGURES: readonly StoreFigure[] = [
  { name: "ps", title: "ps -a", sample: "$E ps -a", limit: LIMIT },
  { name: "images", title: "images", sample: "$E images", limit: LIMIT },
  { name: "inspect", title: "inspect of a container", sample: "$E inspect c1", limit: LIMIT },
  { name: "logs", title: "logs, 10,000 lines", sample: "$E logs talk", limit: LIMIT },
  { name: "events", title: "events of a day", sample: "$E events --stream=false --since 24h", limit: LIMIT },
  { name: "df", title: "system df", sample: "$E system df", limit: LIMIT },
  { name: "startstop", title: "start and stop", sample: "$E start on && $E stop on", limit: LIMIT },
];
