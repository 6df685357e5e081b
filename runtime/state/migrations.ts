/** The schema, step by step. A step is never changed once released; a new one is added at the end. */
export const MIGRATIONS: readonly string[] = [
  // 1: images, containers, volumes
  `
  CREATE TABLE images (
    id           TEXT PRIMARY KEY,          -- hex of the config's digest
    digest       TEXT NOT NULL,             -- of the manifest
    index_digest TEXT,                      -- of the index it was chosen from
    architecture TEXT NOT NULL,
    os           TEXT NOT NULL,
    created      TEXT NOT NULL,             -- as the config says
    recorded_at  TEXT NOT NULL,
    size         INTEGER NOT NULL,          -- sum of the layers unpacked
    config       TEXT NOT NULL              -- the config document
  ) STRICT;
  CREATE TABLE image_layers (
    image_id   TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,            -- 0 is the lowest
    digest     TEXT NOT NULL,               -- of the blob
    diff_id    TEXT NOT NULL,               -- of the plain tar
    size       INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    PRIMARY KEY (image_id, position)
  ) STRICT;
  CREATE TABLE image_names (
    name     TEXT PRIMARY KEY,              -- docker.io/library/debian:12
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE
  ) STRICT;
  CREATE TABLE image_digests (
    reference TEXT NOT NULL,                -- docker.io/library/debian@sha256:…
    image_id  TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    PRIMARY KEY (reference, image_id)
  ) STRICT;
  CREATE TABLE containers (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    image_id    TEXT,                       -- null: --rootfs or the image "host"
    image_name  TEXT NOT NULL,
    command     TEXT NOT NULL,              -- JSON, argv
    created_at  TEXT NOT NULL,
    state       TEXT NOT NULL,              -- created, starting, exited, removing
    started_at  TEXT NOT NULL DEFAULT '',
    finished_at TEXT NOT NULL DEFAULT '',
    exit_code   INTEGER NOT NULL DEFAULT 0,
    error       TEXT NOT NULL DEFAULT '',
    oom_killed  INTEGER NOT NULL DEFAULT 0,
    auto_remove INTEGER NOT NULL,
    tty         INTEGER NOT NULL,
    labels      TEXT NOT NULL,              -- JSON
    mounts      TEXT NOT NULL,              -- JSON, destinations
    network     TEXT NOT NULL
  ) STRICT;
  CREATE INDEX containers_by_image ON containers (image_id);
  CREATE TABLE volumes (
    name       TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    labels     TEXT NOT NULL,               -- JSON
    anonymous  INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE container_volumes (
    container_id TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    volume       TEXT NOT NULL REFERENCES volumes (name),
    PRIMARY KEY (container_id, volume)
  ) STRICT;
  CREATE INDEX container_volumes_by_volume ON container_volumes (volume);
  `,
  // what `volume create --opt` was given, as JSON
  `ALTER TABLE volumes ADD COLUMN options TEXT NOT NULL DEFAULT '{}';`,
  // which containers are started before which, and cannot be removed before them
  `
  CREATE TABLE container_requires (
    container_id TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    required     TEXT NOT NULL,
    PRIMARY KEY (container_id, required)
  ) STRICT;
  CREATE INDEX container_requires_by_required ON container_requires (required);
  `,
  // no, always, unless-stopped, on-failure; of older containers it is not known
  `ALTER TABLE containers ADD COLUMN restart_policy TEXT NOT NULL DEFAULT '';`,
  // published and exposed ports, as JSON; empty for none
  `ALTER TABLE containers ADD COLUMN ports TEXT NOT NULL DEFAULT '';`,
  // every name that an image ever had, in the order of their coming: `images --history`
  `
  CREATE TABLE image_name_history (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    name     TEXT NOT NULL,
    PRIMARY KEY (image_id, name)
  ) STRICT;
  INSERT INTO image_name_history SELECT image_id, name FROM image_names;
  CREATE TRIGGER image_name_given AFTER INSERT ON image_names BEGIN
    INSERT INTO image_name_history SELECT new.image_id, new.name WHERE NOT EXISTS (
      SELECT 1 FROM image_name_history WHERE image_id = new.image_id AND name = new.name
    ); -- not OR IGNORE: in a trigger the outer statement's rule for conflicts goes before it
  END;
  CREATE TRIGGER image_name_moved AFTER UPDATE ON image_names BEGIN
    INSERT INTO image_name_history SELECT new.image_id, new.name WHERE NOT EXISTS (
      SELECT 1 FROM image_name_history WHERE image_id = new.image_id AND name = new.name
    ); -- not OR IGNORE: in a trigger the outer statement's rule for conflicts goes before it
  END;
  `,
  // networks, who is on them, and the addresses that these have
  `
  CREATE TABLE networks (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    interface  TEXT NOT NULL,
    created_at TEXT NOT NULL,
    document   TEXT NOT NULL,               -- JSON
    cursors    TEXT NOT NULL DEFAULT '{}'   -- JSON, subnet to the address handed out last
  ) STRICT;
  CREATE TABLE container_networks (
    container_id TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    network_id   TEXT NOT NULL REFERENCES networks (id),
    position     INTEGER NOT NULL,          -- of the interface
    request      TEXT NOT NULL,             -- JSON
    PRIMARY KEY (container_id, network_id)
  ) STRICT;
  CREATE INDEX container_networks_by_network ON container_networks (network_id);
  CREATE TABLE network_leases (
    network_id   TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
    address      TEXT NOT NULL,
    container_id TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    PRIMARY KEY (network_id, address)
  ) STRICT;
  CREATE INDEX network_leases_by_container ON network_leases (container_id);
  `,
  // digests of what builds read of layers, which never change: a build that repeats a step reads nothing again
  `
  CREATE TABLE build_digests (
    key    TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    used   INTEGER NOT NULL                 -- seconds since 1970
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX build_digests_by_use ON build_digests (used);
  `,
  // what the steps of builds have made
  `
  CREATE TABLE build_cache (
    key         TEXT PRIMARY KEY,           -- of the step and all it reads
    kind        TEXT NOT NULL,              -- run, copy, mkdir
    description TEXT NOT NULL,
    parent      TEXT NOT NULL,              -- key of what it stands on; empty for nothing
    diff_id     TEXT,                       -- of its layer; null: it changed nothing
    digest      TEXT,
    size        INTEGER NOT NULL,           -- of the layer's archive
    media_type  TEXT,
    created_at  TEXT NOT NULL,
    used_at     TEXT NOT NULL,
    uses        INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  `,
  // what layers were packed into for a push: a registry that has it is asked before it is made again
  `
  CREATE TABLE packed_layers (
    diff_id TEXT NOT NULL,
    packing TEXT NOT NULL,                  -- format and level
    digest  TEXT NOT NULL,
    size    INTEGER NOT NULL,
    used    INTEGER NOT NULL,               -- seconds since 1970
    PRIMARY KEY (diff_id, packing)
  ) STRICT, WITHOUT ROWID;
  `,
  // lists of images, which have a row and names as images have; and artifacts, whose blobs are kept beside theirs
  `
  ALTER TABLE images ADD COLUMN list TEXT;  -- of a list: its entries, as runtime/image/list.ts has them
  CREATE TABLE artifacts (
    name        TEXT PRIMARY KEY,           -- with its tag, or with a digest
    digest      TEXT NOT NULL,              -- of the manifest
    blobs       TEXT NOT NULL,              -- JSON: digests of the others
    size        INTEGER NOT NULL,
    recorded_at TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  // who keeps a volume: skiff itself (local), or the plugin of that name
  `ALTER TABLE volumes ADD COLUMN driver TEXT NOT NULL DEFAULT 'local';`,
  // of a layer packed as zstd:chunked: annotations of its descriptor, JSON
  "ALTER TABLE packed_layers ADD COLUMN annotations TEXT;",
  // files that builds have downloaded (build-http/<key> in the data folder), and what their servers know them by
  `
  CREATE TABLE build_downloads (
    key           TEXT PRIMARY KEY,         -- hash of the address
    url           TEXT NOT NULL,            -- without user and password
    etag          TEXT,
    last_modified TEXT,
    size          INTEGER NOT NULL,
    created_at    TEXT NOT NULL,
    used_at       TEXT NOT NULL,
    uses          INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  // secrets, without what they hold, which is in files (secrets/<id> in the data folder)
  `
  CREATE TABLE secrets (
    name       TEXT PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,        -- 25 hex digits; another one with other content
    driver     TEXT NOT NULL,
    labels     TEXT NOT NULL,               -- JSON
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  // pods, and which container is of which; empty for none
  `
  CREATE TABLE pods (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    labels     TEXT NOT NULL,               -- JSON
    infra_id   TEXT,                        -- of the container that holds the namespaces; null for none
    document   TEXT NOT NULL                -- JSON: what it was made with
  ) STRICT;
  ALTER TABLE containers ADD COLUMN pod TEXT NOT NULL DEFAULT '';
  CREATE INDEX containers_by_pod ON containers (pod) WHERE pod <> '';
  `,
  // options of the driver that keeps a secret
  `
  ALTER TABLE secrets ADD COLUMN options TEXT NOT NULL DEFAULT '{}';
  `,
];
