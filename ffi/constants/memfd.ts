/** Flags of memfd_create(2). @see linux/memfd.h */
export const MFD_CLOEXEC = 0x1;
export const MFD_ALLOW_SEALING = 0x2;
/** Linux 6.3; without it vm.memfd_noexec=1 makes a file that cannot be executed. */
export const MFD_EXEC = 0x10;
