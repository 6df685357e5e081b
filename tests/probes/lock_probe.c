/* Locks a file: probe HOW FILE, where HOW is `try` or `hold` (fcntl), `tryflock` or `holdflock`; a hold says `held` and
 * lasts until its standard input ends. Prints `got` or `busy`. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int fd = open(argv[2], O_RDWR | O_CREAT, 0666);
  if (fd < 0) return perror("open"), 1;
  int waits = strncmp(argv[1], "hold", 4) == 0, result;
  if (strstr(argv[1], "flock")) {
    result = flock(fd, LOCK_EX | (waits ? 0 : LOCK_NB));
  } else {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20};
    result = fcntl(fd, waits ? F_SETLKW : F_SETLK, &lock);
  }
  if (result != 0) return puts(errno == EAGAIN || errno == EACCES ? "busy" : strerror(errno)), 0;
  puts(waits ? "held" : "got");
  fflush(stdout);
  char byte;
  while (waits && read(0, &byte, 1) > 0) {}
  return 0;
}
