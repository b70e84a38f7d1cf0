// ms-null: a server that frames requests and answers each with a constant, to find the limit of a load
// generator (and of the machine's sockets). GET and MGET-free by design: "$<n>" for GET, "+OK" for everything
// else.
//
//   ms-null PORT [VALUE_BYTES] [spin]     one thread, loopback only, until killed

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr size_t kInputBytes = 1 << 20;

struct Client {
  int fd = -1;
  std::vector<char> in = std::vector<char>(kInputBytes);
  size_t size = 0;
  std::string out;
};

// The length of the request at [p, end), 0 if it is unfinished; anything but an array of bulk strings ends
// the program.
size_t RequestBytes(const char* p, const char* end, bool* is_get) {
  const char* at = p;
  auto number = [&](char type) -> int64_t {
    if (at == end) return -1;
    if (*at != type) std::abort();
    int64_t value = 0;
    for (++at; at != end && *at != '\r'; ++at) value = value * 10 + (*at - '0');
    if (end - at < 2) return -1;
    at += 2;
    return value;
  };
  int64_t words = number('*');
  for (int64_t i = 0; i < words; ++i) {
    int64_t bytes = number('$');
    if (bytes < 0 || end - at < bytes + 2) return 0;
    if (i == 0) *is_get = bytes == 3 && *at == 'G';
    at += bytes + 2;
  }
  return words < 0 ? 0 : static_cast<size_t>(at - p);
}

// False: the client is gone.
bool Serve(Client& client, std::string_view value) {
  ssize_t got = recv(client.fd, client.in.data() + client.size, client.in.size() - client.size, MSG_DONTWAIT);
  if (got <= 0) return got < 0 && errno == EAGAIN;
  client.size += static_cast<size_t>(got);
  const char* p = client.in.data();
  const char* end = p + client.size;
  client.out.clear();
  bool is_get = false;
  for (size_t bytes; p != end && (bytes = RequestBytes(p, end, &is_get)) != 0; p += bytes) {
    client.out += is_get ? value : std::string_view("+OK\r\n");
  }
  client.size = static_cast<size_t>(end - p);
  std::memmove(client.in.data(), p, client.size);
  for (size_t sent = 0; sent < client.out.size();) {
    ssize_t n = send(client.fd, client.out.data() + sent, client.out.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<size_t>(n);
  }
  return true;
}

int Listen(uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 || listen(fd, 1024) != 0) {
    std::perror("ms-null");
    std::exit(1);
  }
  return fd;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: ms-null PORT [VALUE_BYTES] [spin]\n");
    return 1;
  }
  std::string body(argc > 2 ? static_cast<size_t>(std::atoi(argv[2])) : 32, 'x');
  std::string value = fmt::format("${}\r\n{}\r\n", body.size(), body);
  int timeout_ms = argc > 3 ? 0 : -1;
  int listener = Listen(static_cast<uint16_t>(std::atoi(argv[1])));
  int epoll = epoll_create1(0);
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    epoll_event events[128];
    int count = epoll_wait(epoll, events, 128, timeout_ms);
    for (int i = 0; i < count; ++i) {
      auto* client = static_cast<Client*>(events[i].data.ptr);
      if (client == nullptr) {
        client = new Client;
        client->fd = accept(listener, nullptr, nullptr);
        int on = 1;
        setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        event = {.events = EPOLLIN, .data = {.ptr = client}};
        epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event);
      } else if (!Serve(*client, value)) {
        close(client->fd);
        delete client;
      }
    }
  }
}
