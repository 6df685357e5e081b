/** Annotations of the layer's descriptor. */
export const ZSTD_CHUNKED = {
  manifestChecksum: "io.github.containers.zstd-chunked.manifest-checksum",
  manifestPosition: "io.github.containers.zstd-chunked.manifest-position",
  tarSplitChecksum: "io.github.containers.zstd-chunked.tarsplit-checksum",
  tarSplitPosition: "io.github.containers.zstd-chunked.tarsplit-position",
} as const;
