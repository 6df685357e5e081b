/** What `skiff help TOPIC` tells beside the commands; the man pages take it over. */

export interface Topic {
  name: string;
  summary: string;
  /** Paragraphs; a row of two is a term and what it means. */
  body: readonly (string | readonly [string, string][])[];
}

export const TOPICS: readonly Topic[] = [
  {
    name: "environment",
    summary: "Variables and files that skiff reads",
    body: [
      "Variables:",
      [
        [
          "XDG_DATA_HOME",
          "skiff/ in it holds images and containers (default ~/.local/share; root: /var/lib/skiff)",
        ],
        ["XDG_CACHE_HOME", "skiff/ in it holds the unpacked program (default ~/.cache; root: /var/cache)"],
        [
          "SKIFF_COLD_START",
          "Not empty: the runtime boots for this command, where else it goes on from a process that is kept in a file",
        ],
        ["XDG_CONFIG_HOME", "containers/ in it holds the files below (default ~/.config)"],
        ["REGISTRY_AUTH_FILE", "File with logins, instead of those below"],
        ["DOCKER_CONFIG", "Folder with Docker's config.json (default ~/.docker)"],
        ["CONTAINERS_REGISTRIES_CONF", "File instead of registries.conf"],
        ["CONTAINERS_CONF", "File instead of all containers.conf; CONTAINERS_CONF_OVERRIDE: one after them"],
        ["HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY", "Proxies on the way to registries"],
        ["SSL_CERT_FILE, SSL_CERT_DIR", "Authorities that are trusted, instead of the machine's"],
        ["NO_COLOR", "Not empty: no colours. There are none either where the output is no terminal"],
        ["TERM", "dumb: no colours and no progress bars"],
        ["SKIFF_BUILD_CACHE", "How much builds keep for later ones: 20g; 0 for no limit"],
        [
          "BUILDKIT_PROGRESS",
          "How a build shows what it does, where --progress does not say: plain, tty, quiet",
        ],
        [
          "SOURCE_DATE_EPOCH",
          "Seconds since 1970 that a build takes for the time, so that it is reproducible",
        ],
        ["SSH_AUTH_SOCK", "The agent of build --ssh default"],
      ],
      "Files, the user's before the machine's:",
      [
        [
          "~/.config/containers/containers.conf",
          "What new containers have by default; beside it containers.conf.d/. Those in /etc/containers count, too, " +
          "those that a distribution puts into /usr/share/containers do not",
        ],
        [
          "~/.config/containers/registries.conf",
          "Registries, mirrors, short names; beside it registries.conf.d/",
        ],
        [
          "~/.config/containers/auth.json",
          "Logins; then $XDG_RUNTIME_DIR/containers/auth.json, ~/.docker/config.json",
        ],
        [
          "~/.config/containers/policy.json",
          "Which images may be pulled and loaded, and whose signatures they need; without it, and without " +
          "/etc/containers/policy.json, all",
        ],
        [
          "~/.config/containers/registries.d/",
          "Where signatures of images are (lookaside, use-sigstore-attachments), else /etc/containers/registries.d/",
        ],
        ["~/.config/containers/certs.d/HOST/", "Certificates for one registry"],
        ["/etc/subuid, /etc/subgid", "Ranges of subordinate ids, for containers with more than one user"],
      ],
    ],
  },
  {
    name: "building",
    summary: "Building images: contexts, cache, outputs",
    body: [
      "`skiff build CONTEXT` reads the Dockerfile of the context (-f names another) and makes an image of it, with " +
      "nothing running before or after. The language is that of BuildKit's dockerfile:1; `# syntax=` lines are read " +
      "over. A step that needs nothing of another runs beside it; a stage that the target does not need is not built.",
      [
        ["skiff build -t web .", "The folder; what .dockerignore names is not part of it"],
        ["skiff build https://example.com/app.git#v1:web", "The folder web of a tag of a repository"],
        ["tar -c . | skiff build -", "A tar, packed or not"],
        ["skiff build - < Dockerfile", "A Dockerfile without a context"],
        ["skiff build --build-context assets=../assets .", "One more, for COPY --from=assets"],
      ],
      "The cache knows what a step was made of: the files it stands on, its words, the content of what it copies. " +
      "Neither times nor names count, so other Dockerfiles and folders find it as well. Removing images does not " +
      "take it away; `skiff builder prune` does. After a build the steps that were used least recently go where all " +
      "take more than a tenth of the file system (at least 10 GiB), or than SKIFF_BUILD_CACHE (20g; 0: no limit).",
      [
        ["skiff build --no-cache-filter test .", "Perform the steps of one stage anew"],
        ["skiff buildx du", "What it takes"],
        [
          "skiff build --cache-to type=registry,ref=quay.io/team/cache --cache-from …",
          "Share it with other machines",
        ],
      ],
      "RUN is a container of skiff: with the network of `run`, without the host's files, as another user than you where " +
      "you have subordinate ids. Secrets are in no layer, and their content is in no key of the cache.",
      [
        [
          "skiff build --secret id=token,src=token.txt .",
          "For RUN --mount=type=secret,id=token; env=NAME for a variable",
        ],
        [
          "skiff build --ssh default .",
          "The agent of $SSH_AUTH_SOCK, for RUN --mount=type=ssh; default=FILE for a key without passphrase",
        ],
        ["skiff build --allow network.host .", "For RUN --network=host"],
        [
          "skiff build --secret id=GIT_AUTH_TOKEN,src=token https://host/app.git",
          "For a server of repositories; HTTP_AUTH_TOKEN_<host> for one that ADD downloads from",
        ],
      ],
      "What becomes of the result:",
      [
        ["-t NAME", "An image of the store (the default), with that name; -q prints its id"],
        ["--push", "And pushed to the registry of that name"],
        ["-o FOLDER", "Its files, as yours"],
        ["-o type=tar,dest=FILE", "Its files with their owners; - is stdout"],
        ["-o type=oci,dest=FILE, type=docker", "An archive of the image; tar=false for a folder"],
        ["-o type=cacheonly", "Nothing but the cache"],
      ],
      "With SOURCE_DATE_EPOCH in the environment, or --timestamp, two builds of the same files give the same digest. " +
      "--platform with several platforms makes an index; the image for this machine gets the names.",
      [
        ["1", "The exit code where the build fails or --check has found something"],
        ["130", "Where it was interrupted; what was done is in the cache"],
      ],
    ],
  },
  {
    name: "exit-codes",
    summary: "What the exit code of a command means",
    body: [
      "run, exec, start --attach and attach exit with the program's own code; 128 + N where signal N ended it.",
      [
        ["0", "Done"],
        [
          "1",
          "build: it failed; exists: there is none; rm, rmi, network rm, volume rm: one does not exist; healthcheck run: not healthy",
        ],
        ["2", "rm: one is running; rmi, network rm, volume rm: one is in use"],
        ["125", "skiff itself failed, or the command line is wrong"],
        ["126", "The program exists in the container but cannot be executed"],
        ["127", "The program is not in the container"],
        ["130, 143", "A pull or build was interrupted by Ctrl-C or SIGTERM"],
        ["141", "The reader of the output has gone"],
      ],
      "Where several containers or images are named, all are tried; the highest code is the command's.",
    ],
  },
  {
    name: "host",
    summary: "The built-in image of this machine",
    body: [
      "`host` is an image made of this machine's own /usr, /etc, /bin, /lib and so on, at the moment of the start. " +
      "Nothing is downloaded or copied. Without root they are read-only and seem to belong to nobody; /home, /root, " +
      "/tmp, /run and /var/tmp are fresh and empty.",
      [
        ["skiff run --rm host cat /etc/os-release", "Print the machine's own release"],
        [
          "skiff run --rm -v .:/src -w /src host make",
          "Build with the machine's compilers, apart from its files",
        ],
      ],
    ],
  },
  {
    name: "networks",
    summary: "Networks of containers: names, addresses, what reaches what",
    body: [
      "A container that no --network is given to is alone: it reaches out, by a user-mode stack (slirp), and is reached " +
      "by its published ports. `network connect` puts no such container on a network: start it with --network bridge, or " +
      "--network NAME, where it is to be on others later.",
      "Containers on a network of `network create` reach each other by name, by their aliases, and by the first " +
      "twelve digits of their ids. A container may be on several; those of two networks reach each other only where " +
      "one is on both. Other names, and other addresses, go out by way of this machine.",
      "Without root, bridges are in a network namespace of skiff's own: this machine has no interface of them, and " +
      "reaches containers by their published ports only. As root they are interfaces of this machine (see below).",
      [
        ["skiff network create web", "A network with a free subnet; --ipv6 for addresses of both versions"],
        ["skiff run -d --network web --name db IMAGE", "`db` can be looked up by all on web"],
        [
          "skiff run --network web:ip=10.89.0.9,alias=cache --network back IMAGE",
          "Two networks, eth0 and eth1",
        ],
        ["skiff network connect back db", "One more, of a container that runs as well"],
        ["skiff network create --internal back", "Nothing but the containers that are on it"],
      ],
      "There are from the start:",
      [
        ["slirp", "The one above: what containers have by default, also of root"],
        ["bridge", "A network without names, as Docker's; podman is another name of it"],
        ["none", "No network but the loopback"],
        ["host", "This machine's own"],
      ],
      "A TCP connection that has moved 8 MB through the user-mode stack goes on in the kernel, up to 64 of them: inside, " +
      "`ss` shows its other end as well, and `ip rule` a rule for it; and who listens there on the port of that end " +
      "needs SO_REUSEADDR, as servers have. A container with CAP_NET_ADMIN of its own on slirp, " +
      "which may watch and shape the traffic of its interface, keeps all of it there.",
      "An address is a container's for as long as it runs, and is given to another one only when all others are used " +
      "or the container is gone. --ip and --network NAME:ip= keep an address for one container. --ip-range bounds what " +
      "is given away by itself. Options of the driver (--opt):",
      [
        ["mtu=BYTES", "Of the interfaces"],
        [
          "isolate=true|strict",
          "Networks are apart without it. As root, also no ports that containers of other such networks (strict: of any) " +
          "have published on this machine",
        ],
        [
          "com.docker.network.bridge.enable_icc=false",
          "Containers of the network do not reach each other; as root, where br_netfilter is on, not by published ports either",
        ],
        [
          "com.docker.network.bridge.enable_ip_masquerade=false",
          "As root: what leaves keeps the container's address, to which others need a route",
        ],
        ["host_binding_ipv4=ADDRESS", "Where ports are published that name no address of this machine"],
        ["metric=NUMBER, no_default_route=true", "Of the default route, or without one"],
        ["vlan=ID", "The bridge keeps its containers in this VLAN"],
        [
          "parent=INTERFACE, mode=MODE",
          "macvlan (bridge, private, vepa, passthru) and ipvlan (l2, l3, l3s), as root",
        ],
        ["com.docker.network.driver.mtu, com.docker.network.bridge.name, …", "Docker's names of these"],
      ],
      "As root, while a container is on a bridge, this machine has the bridge as an interface, and besides:",
      [
        [
          "nf_tables",
          "One table, `inet skiff` (with another data folder skiff-…): containers leave under this machine's address, " +
          "published ports lead to them with the client's, and from outside nothing else does. No other table is " +
          "touched",
        ],
        [
          "net.ipv4.ip_forward, net.ipv6.conf.all.forwarding",
          "1, where a network leads out by that version; for IPv6 accept_ra becomes 2 where it was 1. Both are as " +
          "before when the last container has gone, unless there are bridges of others by then that were not there",
        ],
      ],
      "What the tables of others drop stays dropped: a firewall whose forward chain drops has to let the bridges pass " +
      '(iifname "skiff*" accept, oifname "skiff*" accept), one whose input chain drops port 53 from them, for names. ' +
      "Docker's chains drop what is forwarded, too. After a firewall has flushed all tables, `network reload` makes " +
      "ours again. Clients of 127.0.0.1 and ::1 come to the container from its gateway's address. Where bridges are " +
      "left because all processes were killed, the next rm, network rm or start clears them away.",
    ],
  },
  {
    name: "rootless",
    summary: "Containers without root: users, ids, what is missing",
    body: [
      "All of a user's containers share one user namespace. Root in it is you; the other users are your subordinate " +
      "ids of /etc/subuid and /etc/subgid, set up by newuidmap(1) and newgidmap(1) (Debian: package uidmap). Without " +
      "them there is one id only: programs that change to another user still start, and chown seems to succeed.",
      [
        ["skiff run --userns keep-id", "The user in the container has your own id"],
        ["skiff run --userns host", "No ids but the namespace's own"],
        ["skiff run -u 1000 -v data:/data", "A named volume belongs to the container's user"],
        ["skiff info --format '{{.Host.IDMappings}}'", "Show the ids"],
      ],
    ],
  },
  {
    name: "scripting",
    summary: "What scripts can rely on",
    body: [
      "Results go to stdout and nothing else does; progress, warnings and errors go to stderr. An error is one line " +
      "that begins with `Error: `, a hint may follow it.",
      [
        ["--quiet", "Ids only (ps, images), no progress (run, create, pull)"],
        ["--format json", "A list of documents; members are added, not renamed or removed"],
        ["--format TEMPLATE", "A Go template for each row; {{json .Field}} for what is to be parsed"],
        [
          "--ignore",
          "What does not exist is no error (rm, rmi, stop, wait); what does is none (volume create)",
        ],
        ["--force", "rm: a running container is killed, and none is no error"],
        ["--replace", "run, create: a container of that name is removed first"],
        ["container, image, network, secret, volume exists", "0 or 1, and no output"],
        ["--cidfile FILE", "Where run and create leave the id, and stop, kill and rm find it"],
      ],
      "Ctrl-C and SIGTERM go on to the program in run, exec, start --attach and attach (--sig-proxy=false: not). They " +
      "end a pull, which goes on later where it was. logs --follow, wait and events end without touching a container.",
    ],
  },
  {
    name: "storage",
    summary: "Where images and containers lie, and the storage drivers",
    body: [
      "Everything lies in one folder, ~/.local/share/skiff (root: /var/lib/skiff):",
      [
        ["skiff.db", "What there is: images, containers, volumes, secrets but for what they hold"],
        ["blobs/", "Content as downloaded, by digest"],
        ["layers/", "Unpacked layers, each once, whatever number of images and containers uses it"],
        ["containers/ID/", "Configuration, state, log and changed files of a container"],
        ["volumes/NAME/", "Named volumes"],
        ["secrets/ID", "What secrets hold, readable for nobody else; not encrypted"],
      ],
      "The driver is the first of these that works here; --storage-driver names one:",
      [
        ["overlay", "The kernel's overlayfs, in the user namespace (Linux 5.12 or newer)"],
        ["fuse-overlayfs", "The program of that name, where the kernel's is refused"],
        ["vfs", "A copy for each container; by reflink where the file system can"],
      ],
    ],
  },
  {
    name: "volumes",
    summary: "Folders and volumes in containers, and whose their files are",
    body: [
      "Options of -v SOURCE:TARGET:OPTIONS and of --mount type=bind|volume, apart from those of mount(8):",
      [
        ["ro, rw", "Read-only, or not"],
        ["O", "What is written stays in the container; upperdir= and workdir= keep it in folders of yours"],
        ["U", "On disk everything is given to the container's user"],
        ["idmap", "Files are shown with other owners than they have on disk; nothing is changed there"],
        [
          "copy, nocopy",
          "A new volume gets the image's content of that folder (as it does by itself), or none",
        ],
        ["z, Z, relabel=shared|private", "Labels of SELinux: accepted, none are set"],
      ],
      "With idmap your own files belong to the container's user (-u, or the image's USER), and what he or the " +
      "container's root makes there belongs to you. Other ids stay as they are. idmap=uids=RANGES;gids=RANGES says " +
      "whose files are shown as whose: a range is FROM-TO-LENGTH, from the id on disk to that of the host, or with @ " +
      "before it to that of the container (uids=@1000-999-1); several are separated by #. With U, idmap makes you the " +
      "owner of everything.",
      "As root the kernel does this, where the folder's file system can; the owner of the folder takes the place of " +
      "you. Rootless it refuses, and a process of the container's monitor shows the folder through /dev/fuse: " +
      "changes made by others are told by inotify(7) and seen at once, new names within a second. What nobody tells is " +
      "seen within 30 s: changes through a shared mapping, or by a second name (ln) that a file was given since it was " +
      "looked at. Files that have several names by then, and all on network file systems or once the user's inotify " +
      "watches are used up, are looked at again each second. A file of 16 MB or more is kept " +
      "in the container's cache from its second reading on. Extended attributes are those of users (user.…), " +
      "there are no device files and no access lists. Locks are seen by other containers and by the host. Where " +
      "that process is killed, what it was asked fails with ECONNABORTED, and all that follows with ENOTCONN until the " +
      "container is started again.",
    ],
  },
];
