/*
 * CVE-2021-30465, CVE-2023-27561: exchanges two names (a folder and a link) for each other, without a pause.
 *
 *     flip_probe ONE TWO     says "ready", then goes on until it is killed
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	if (argc != 3 || renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE)) {
		perror("renameat2");
		return 99;
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE);
}
