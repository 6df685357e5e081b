/*
 * Sends IP packets as they are: stdin has them one after the other, each behind its length (two bytes, the high one
 * first). They go out of eth0, whatever they say. Needs CAP_NET_RAW. Prints how many were sent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int take(unsigned char *buffer, size_t length) {
  for (size_t at = 0; at < length;) {
    ssize_t count = read(0, buffer + at, length - at);
    if (count <= 0) return 0;
    at += count;
  }
  return 1;
}

int main(void) {
  static unsigned char packet[65536];
  struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = if_nametoindex("eth0") };
  int fd = socket(AF_PACKET, SOCK_DGRAM, 0), sent = 0;
  if (fd < 0 || to.sll_ifindex == 0) {
    perror("packet socket on eth0");
    return 1;
  }
  for (;;) {
    unsigned char size[2];
    if (!take(size, 2)) break;
    size_t length = size[0] << 8 | size[1];
    if (!take(packet, length)) break;
    to.sll_protocol = htons(packet[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP);
    ssize_t count;
    while ((count = sendto(fd, packet, length, 0, (struct sockaddr *)&to, sizeof to)) < 0 && errno == ENOBUFS)
      poll(NULL, 0, 1);
    if (count >= 0) sent++;
  }
  printf("%d\n", sent);
  return 0;
}
