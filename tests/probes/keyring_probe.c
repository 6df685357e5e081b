/*
 * CVE-2014-9529 and its kin: a session keyring that a program inherits holds its caller's keys.
 *
 *     keyring_probe make PROGRAM ARGS…    a new session keyring with a key in it, then PROGRAM
 *     keyring_probe find                  prints whether the key is in the session keyring: found | not found
 */
#define _GNU_SOURCE
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEY "user", "skiff-test-secret"

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "make")) {
		if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0L) < 0 ||
		    syscall(SYS_add_key, KEY, "secret", 6L, (long)KEY_SPEC_SESSION_KEYRING) < 0) {
			perror("keyring_probe");
			return 99;
		}
		execv(argv[2], argv + 2);
		return 98;
	}
	puts(syscall(SYS_keyctl, KEYCTL_SEARCH, (long)KEY_SPEC_SESSION_KEYRING, KEY, 0L) < 0 ? "not found" : "found");
}
