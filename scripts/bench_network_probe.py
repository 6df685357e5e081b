"""What bench_network.ts runs at both ends of a network: an echo server and its clients. Each prints one number.

    serve PORT [COUNT]      echoes at so many ports from there on, for ever; a line "ready" when it listens
    rtt HOST PORT COUNT     median round trip of one byte, in microseconds
    connects HOST PORT S    sequential connects a second (each echoes one byte), for S seconds
    echoes HOST PORT N S    round trips a second of 64 bytes over N connections at once, for S seconds
    hold HOST PORT N        opens N connections, prints "ready", keeps them until stdin ends
"""
import resource, select, socket, sys, time

resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
mode, *words = sys.argv[1:]
NODELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def dial(host, port):
    connection = socket.create_connection((host, int(port)), timeout=10)
    connection.setsockopt(*NODELAY)
    return connection


def serve(port, count=1):
    poll, open_ones, listeners = select.epoll(), {}, {}
    for at in range(int(port), int(port) + int(count)):
        listener = socket.create_server(("127.0.0.1", at), backlog=4096)
        listener.setblocking(False)
        listeners[listener.fileno()] = listener
        poll.register(listener, select.EPOLLIN)
    print("ready", flush=True)
    while True:
        for fd, _ in poll.poll():
            if fd in listeners:
                try:
                    while True:
                        one, _ = listeners[fd].accept()
                        one.setsockopt(*NODELAY)
                        open_ones[one.fileno()] = one
                        poll.register(one, select.EPOLLIN)
                except BlockingIOError:
                    continue
            else:
                one = open_ones[fd]
                try:
                    data = one.recv(65536)
                    if data:
                        one.sendall(data)
                        continue
                except OSError:
                    pass
                poll.unregister(fd)
                open_ones.pop(fd).close()


def rtt(host, port, count):
    one, times = dial(host, port), []
    for _ in range(int(count)):
        start = time.perf_counter()
        one.sendall(b"x")
        one.recv(1)
        times.append(time.perf_counter() - start)
    print(sorted(times)[len(times) // 2] * 1e6)


def connects(host, port, seconds):
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < float(seconds):
        with dial(host, port) as one:
            one.sendall(b"x")
            one.recv(1)
        count += 1
    print(count / (time.perf_counter() - start))


def echoes(host, port, number, seconds):
    ones = [dial(host, port) for _ in range(int(number))]
    poll, by_fd, count = select.epoll(), {}, 0
    for one in ones:
        by_fd[one.fileno()] = one
        poll.register(one, select.EPOLLIN)
    start = time.perf_counter()
    for one in ones:
        one.sendall(b"x" * 64)
    while time.perf_counter() - start < float(seconds):
        for fd, _ in poll.poll(1):
            count += len(by_fd[fd].recv(64)) / 64
            by_fd[fd].sendall(b"x" * 64)
    print(count / (time.perf_counter() - start))


def hold(host, port, number):
    ones = [dial(host, port) for _ in range(int(number))]
    for one in ones:
        one.sendall(b"x")
        one.recv(1)
    print("ready", flush=True)
    sys.stdin.read()


{"serve": serve, "rtt": rtt, "connects": connects, "echoes": echoes, "hold": hold}[mode](*words)
