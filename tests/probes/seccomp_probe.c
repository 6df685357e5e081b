/*
 * Makes calls that a container must not get through, and prints one line each: NAME ERRNO, 0 for success.
 * They come in by every door: the machine's own numbers, x32 numbers and i386's int 0x80, with and without
 * high bits in the arguments.
 *
 *     seccomp_probe [FILTER PROGRAM [ARG…]]
 *
 * With FILTER, a file of struct sock_filter, it loads that and executes PROGRAM instead.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define HIGH (1ul << 32)
#define NO_SUCH_CALL 4000

static void report(const char *name, long result)
{
	printf("%s %d\n", name, result < 0 ? errno : 0);
}

/* For raw entries, which give -errno. */
static void report_raw(const char *name, long result)
{
	printf("%s %d\n", name, result < 0 && result > -4096 ? (int)-result : 0);
}

static long exits_in_child(long pid)
{
	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, __WALL);
	return pid;
}

#ifdef __x86_64__
static long i386_call(long nr, long a, long b, long c)
{
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}

static void probe_i386(void)
{
	enum { I386_SOCKETCALL = 102, I386_SOCKET = 359, I386_IO_URING_SETUP = 425, I386_UNSHARE = 310, I386_IOCTL = 54 };
	/* socketcall reads its arguments through a 32-bit pointer */
	unsigned *args = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	int families[] = { AF_ALG, AF_VSOCK };
	const char *names[][2] = { { "i386-socket-alg", "i386-socketcall-alg" }, { "i386-socket-vsock", "i386-socketcall-vsock" } };
	for (int i = 0; i < 2; i++) {
		report_raw(names[i][0], i386_call(I386_SOCKET, families[i], SOCK_SEQPACKET, 0));
		args[0] = families[i];
		args[1] = SOCK_SEQPACKET;
		args[2] = 0;
		report_raw(names[i][1], i386_call(I386_SOCKETCALL, 1, (long)args, 0));
	}
	report_raw("i386-io-uring", i386_call(I386_IO_URING_SETUP, 1, 0, 0));
	report_raw("i386-unshare", i386_call(I386_UNSHARE, CLONE_NEWUSER, 0, 0));
	report_raw("i386-tiocsti", i386_call(I386_IOCTL, 0, TIOCSTI, (long)args));
	report_raw("i386-socket-inet", i386_call(I386_SOCKET, AF_INET, SOCK_DGRAM, 0));
}

static void probe_x32(void)
{
	enum { X32 = 0x40000000, X32_IOCTL = 514 };
	report("x32-socket-alg", syscall(X32 + SYS_socket, AF_ALG, SOCK_SEQPACKET, 0));
	report("x32-socket-vsock", syscall(X32 + SYS_socket, AF_VSOCK, SOCK_STREAM, 0));
	report("x32-io-uring", syscall(X32 + SYS_io_uring_setup, 1, NULL));
	report("x32-unshare", syscall(X32 + SYS_unshare, 0));
	report("x32-tiocsti", syscall(X32 + X32_IOCTL, 0, TIOCSTI, "x"));
}
#endif

static void probe(void)
{
	report("socket-alg", syscall(SYS_socket, AF_ALG, SOCK_SEQPACKET, 0));
	report("socket-alg-high", syscall(SYS_socket, HIGH | AF_ALG, SOCK_SEQPACKET, 0));
	report("socket-vsock", syscall(SYS_socket, AF_VSOCK, SOCK_STREAM, 0));
	report("socket-vsock-high", syscall(SYS_socket, HIGH | AF_VSOCK, SOCK_STREAM, 0));
	report("socket-inet", syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0));
	report("socket-unix", syscall(SYS_socket, AF_UNIX, SOCK_DGRAM, 0));
	report("io-uring-setup", syscall(SYS_io_uring_setup, 1, NULL));
	report("io-uring-enter", syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0));
	report("io-uring-register", syscall(SYS_io_uring_register, -1, 0, NULL, 0));
	report("clone3", syscall(SYS_clone3, NULL, 0));
	report("clone-newuser", exits_in_child(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)));
	report("clone-plain", exits_in_child(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)));
	report("unshare-nothing", syscall(SYS_unshare, 0));
	report("setns", syscall(SYS_setns, -1, 0));
	report("tiocsti", ioctl(0, TIOCSTI, "x"));
	report("tiocsti-high", syscall(SYS_ioctl, 0, HIGH | TIOCSTI, "x"));
	report("tioclinux", ioctl(0, TIOCLINUX, "\2"));
	report("personality-no-randomize", syscall(SYS_personality, ADDR_NO_RANDOMIZE));
	report("personality-ask", syscall(SYS_personality, 0xffffffff));
	report("keyctl", syscall(SYS_keyctl, 0, 0, 0));
	report("bpf", syscall(SYS_bpf, -1, NULL, 0));
	report("userfaultfd", syscall(SYS_userfaultfd, -1));
	report("open-by-handle", syscall(SYS_open_by_handle_at, -1, NULL, 0));
	report("no-such-call", syscall(NO_SUCH_CALL));
#ifdef __x86_64__
	probe_x32();
	probe_i386();
#endif
}

static void load_filter(const char *path)
{
	static struct sock_filter filter[BPF_MAXINSNS];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = read(fd, filter, sizeof filter);
	struct sock_fprog program = { .len = size / sizeof filter[0], .filter = filter };
	if (fd < 0 || size <= 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program)) {
		perror(path);
		exit(99);
	}
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 2) {
		load_filter(argv[1]);
		execv(argv[2], argv + 2);
		perror(argv[2]);
		return 98;
	}
	probe();
	return 0;
}
