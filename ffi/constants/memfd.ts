/** Flags of memfd_create(2). @see linux/memfd.h */
export const MFD_CLOEXEC = 0x1;
export const MFD_ALLOW_SEALING = 0x2;
