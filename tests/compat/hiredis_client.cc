// What a C program does with hiredis: an inventory kept with the blocking interface, and counters kept by
// many connections of the asynchronous one, in a loop around poll(2). tests/compat/hiredis_c.py starts it.
//
//   ms_compat_hiredis PORT SOCKET LOCKED_PORT PASSWORD

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/time.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int kParts = 10'000;
constexpr int kConnections = 8;
constexpr int kCountsEach = 2'000;
constexpr int kPollMs = 10'000;
constexpr timeval kTimeout = {.tv_sec = 20, .tv_usec = 0};

int g_checks = 0;
int g_failures = 0;

bool Expect(bool good, const std::string& what) {
  ++g_checks;
  if (!good && ++g_failures <= 20) std::printf("FAIL %s\n", what.c_str());
  return good;
}

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
struct FreeContext {
  void operator()(redisContext* context) const { redisFree(context); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;
using Context = std::unique_ptr<redisContext, FreeContext>;

Reply Owned(void* reply) {
  return Reply(static_cast<redisReply*>(reply));
}

std::string_view Text(const redisReply* reply) {
  return reply != nullptr && reply->str != nullptr ? std::string_view(reply->str, reply->len)
                                                   : std::string_view();
}

// A command whose words need no formatting.
Reply Call(redisContext* context, const std::vector<std::string_view>& words) {
  std::vector<const char*> pointers;
  std::vector<size_t> lengths;
  for (std::string_view word : words) {
    pointers.push_back(word.data());
    lengths.push_back(word.size());
  }
  return Owned(redisCommandArgv(context, static_cast<int>(words.size()), pointers.data(), lengths.data()));
}

void ExpectText(const Reply& reply, int type, std::string_view text, const std::string& what) {
  Expect(reply && reply->type == type && Text(reply.get()) == text,
         what + ": type " + std::to_string(reply ? reply->type : -1) + ", " + std::string(Text(reply.get())));
}

void ExpectNumber(const Reply& reply, long long number, const std::string& what) {
  Expect(reply && reply->type == REDIS_REPLY_INTEGER && reply->integer == number,
         what + ": " + std::to_string(reply ? reply->integer : -1));
}

Context Connect(int port) {
  Context context(redisConnectWithTimeout("127.0.0.1", port, kTimeout));
  Expect(context && context->err == 0, "connect");
  redisSetTimeout(context.get(), kTimeout);
  return context;
}

void Formats(redisContext* context) {
  ExpectText(Owned(redisCommand(context, "SET %s:%d %b", "part", 7, "a\0b", size_t{3})), REDIS_REPLY_STATUS,
             "OK", "SET %b");
  ExpectText(Owned(redisCommand(context, "GET part:%d", 7)), REDIS_REPLY_STRING, std::string_view("a\0b", 3),
             "GET");
  ExpectNumber(Owned(redisCommand(context, "INCRBY count %lld", 1LL << 40)), 1LL << 40, "INCRBY %lld");
  ExpectText(Owned(redisCommand(context, "SET price %.2f PX %d", 12.5, 100'000)), REDIS_REPLY_STATUS, "OK",
             "SET %f");
  Reply left = Owned(redisCommand(context, "PTTL price"));
  Expect(left && left->integer > 50'000 && left->integer <= 100'000, "PTTL");
  ExpectText(Owned(redisCommand(context, "GET price")), REDIS_REPLY_STRING, "12.50", "GET price");
  Reply none = Owned(redisCommand(context, "GET none"));
  Expect(none && none->type == REDIS_REPLY_NIL, "GET none");
  Reply many = Owned(redisCommand(context, "MGET part:7 none count"));
  if (Expect(many && many->type == REDIS_REPLY_ARRAY && many->elements == 3, "MGET")) {
    Expect(many->element[0]->type == REDIS_REPLY_STRING && many->element[1]->type == REDIS_REPLY_NIL,
           "types in MGET");
    Expect(Text(many->element[2]) == "1099511627776", "the count in MGET");
  }
  ExpectText(Owned(redisCommand(context, "INCR part:7")), REDIS_REPLY_ERROR,
             "ERR value is not an integer or out of range", "an error");
  Expect(context->err == 0, "an error leaves the connection usable");
  Reply nested = Owned(redisCommand(context, "COMMAND INFO get nosuch"));
  Expect(nested && nested->elements == 2 && nested->element[0]->type == REDIS_REPLY_ARRAY &&
             nested->element[0]->element[1]->integer == 2 && nested->element[1]->type == REDIS_REPLY_NIL,
         "nested arrays");
  std::string large(1 << 20, '\0');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31);
  ExpectText(Call(context, {"SET", "large", large}), REDIS_REPLY_STATUS, "OK", "a MiB");
  ExpectText(Call(context, {"GET", "large"}), REDIS_REPLY_STRING, large, "the MiB came back");
  ExpectText(Call(context, {"FLUSHALL"}), REDIS_REPLY_STATUS, "OK", "FLUSHALL");
}

void Inventory(redisContext* context) {
  for (int i = 0; i < kParts; ++i) redisAppendCommand(context, "SET part:%d %d EX 1000", i, i * 3);
  for (int i = 0; i < kParts; ++i) redisAppendCommand(context, "INCRBY part:%d %d", i, i);
  int wrong = 0;
  for (int i = 0; i < 2 * kParts; ++i) {
    void* raw = nullptr;
    if (!Expect(redisGetReply(context, &raw) == REDIS_OK, "a reply of the pipeline")) return;
    Reply reply = Owned(raw);
    bool good = i < kParts ? reply->type == REDIS_REPLY_STATUS : reply->integer == 4LL * (i - kParts);
    if (!good) ++wrong;
  }
  Expect(wrong == 0, std::to_string(wrong) + " wrong replies in a pipeline of " + std::to_string(2 * kParts));
  std::set<std::string> found;
  std::string cursor = "0";
  do {
    Reply page = Owned(redisCommand(context, "SCAN %s MATCH part:* COUNT 500", cursor.c_str()));
    if (!Expect(page && page->type == REDIS_REPLY_ARRAY && page->elements == 2, "a page of SCAN")) return;
    cursor = Text(page->element[0]);
    for (size_t i = 0; i < page->element[1]->elements; ++i) found.emplace(Text(page->element[1]->element[i]));
  } while (cursor != "0");
  Expect(found.size() == kParts, "SCAN found " + std::to_string(found.size()));
  std::vector<std::string_view> unlink = {"UNLINK"};
  unlink.insert(unlink.end(), found.begin(), found.end());
  ExpectNumber(Call(context, unlink), kParts, "UNLINK of all");
  ExpectNumber(Call(context, {"DBSIZE"}), 0, "DBSIZE");
}

void Reconnect(redisContext* context, int port) {
  Reply id = Owned(redisCommand(context, "CLIENT ID"));
  Context admin = Connect(port);
  ExpectNumber(Owned(redisCommand(admin.get(), "CLIENT KILL ID %lld", id->integer)), 1, "CLIENT KILL");
  Reply none = Owned(redisCommand(context, "GET x"));
  Expect(!none && (context->err == REDIS_ERR_EOF || context->err == REDIS_ERR_IO), "a killed connection");
  Expect(redisReconnect(context) == REDIS_OK, "redisReconnect");
  ExpectText(Owned(redisCommand(context, "ECHO %s", "again")), REDIS_REPLY_STRING, "again",
             "after the reconnection");
}

void Places(int port, const char* path, int locked_port, const char* password) {
  Context local(redisConnectUnixWithTimeout(path, kTimeout));
  ExpectText(Owned(redisCommand(local.get(), "PING")), REDIS_REPLY_STATUS, "PONG", "a unix socket");
  Context locked = Connect(locked_port);
  Reply refused = Owned(redisCommand(locked.get(), "GET a"));
  ExpectText(refused, REDIS_REPLY_ERROR, "NOAUTH Authentication required.", "without a password");
  Reply wrong = Owned(redisCommand(locked.get(), "AUTH wrong"));
  Expect(wrong && Text(wrong.get()).starts_with("WRONGPASS "), "a wrong password");
  ExpectText(Owned(redisCommand(locked.get(), "AUTH default %s", password)), REDIS_REPLY_STATUS, "OK",
             "AUTH");
  ExpectText(Owned(redisCommand(locked.get(), "SELECT 3")), REDIS_REPLY_STATUS, "OK", "SELECT");
  Context watcher = Connect(port);
  ExpectText(Owned(redisCommand(watcher.get(), "MONITOR")), REDIS_REPLY_STATUS, "OK", "MONITOR");
  ExpectText(Owned(redisCommand(local.get(), "ECHO %s", "seen")), REDIS_REPLY_STRING, "seen", "ECHO");
  void* raw = nullptr;
  Expect(redisGetReply(watcher.get(), &raw) == REDIS_OK, "a line of MONITOR");
  Reply line = Owned(raw);
  Expect(line && line->type == REDIS_REPLY_STATUS && Text(line.get()).ends_with("\"ECHO\" \"seen\""),
         "what it says");
}

// One asynchronous connection, for the loop below.
struct Link {
  redisAsyncContext* context = nullptr;  // null once it has disconnected
  short events = 0;
  int connected = 0;
  int counted = 0;
  int errors = 0;
  int out_of_order = 0;
  long long last = 0;
};

Link* LinkOf(void* data) {
  return static_cast<Link*>(data);
}
void AddEvents(void* data, int events) {
  LinkOf(data)->events = static_cast<short>(LinkOf(data)->events | events);
}
void RemoveEvents(void* data, int events) {
  LinkOf(data)->events = static_cast<short>(LinkOf(data)->events & ~events);
}

void Attach(Link& link) {
  redisAsyncContext* context = link.context;
  context->data = &link;
  context->ev.data = &link;
  context->ev.addRead = [](void* data) { AddEvents(data, POLLIN); };
  context->ev.delRead = [](void* data) { RemoveEvents(data, POLLIN); };
  context->ev.addWrite = [](void* data) { AddEvents(data, POLLOUT); };
  context->ev.delWrite = [](void* data) { RemoveEvents(data, POLLOUT); };
  context->ev.cleanup = [](void* data) { LinkOf(data)->events = 0; };
  redisAsyncSetConnectCallback(context, [](const redisAsyncContext* self, int status) {
    if (status == REDIS_OK) ++LinkOf(self->data)->connected;
  });
  redisAsyncSetDisconnectCallback(
      context, [](const redisAsyncContext* self, int) { LinkOf(self->data)->context = nullptr; });
}

void Counted(redisAsyncContext* context, void* raw, void*) {
  Link& link = *LinkOf(context->data);
  const auto* reply = static_cast<redisReply*>(raw);
  if (reply == nullptr || reply->type != REDIS_REPLY_INTEGER) {
    ++link.errors;
  } else {
    if (reply->integer <= link.last) ++link.out_of_order;
    link.last = reply->integer;
    ++link.counted;
  }
  if (link.counted + link.errors == kCountsEach) redisAsyncDisconnect(context);
}

// Until every connection is gone; false: none had anything to say for too long.
bool Loop(std::vector<Link>& links) {
  for (;;) {
    std::vector<pollfd> waiting;
    std::vector<Link*> of;
    for (Link& link : links) {
      if (link.context == nullptr) continue;
      waiting.push_back({.fd = link.context->c.fd, .events = link.events, .revents = 0});
      of.push_back(&link);
    }
    if (waiting.empty()) return true;
    if (poll(waiting.data(), waiting.size(), kPollMs) <= 0) return false;
    for (size_t i = 0; i < waiting.size(); ++i) {
      if ((waiting[i].revents & POLLOUT) != 0 && of[i]->context != nullptr)
        redisAsyncHandleWrite(of[i]->context);
      if ((waiting[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && of[i]->context != nullptr) {
        redisAsyncHandleRead(of[i]->context);
      }
    }
  }
}

void Asynchronous(int port, const char* path) {
  std::vector<Link> links(kConnections);
  for (size_t i = 0; i < links.size(); ++i) {
    links[i].context = i % 2 == 0 ? redisAsyncConnect("127.0.0.1", port) : redisAsyncConnectUnix(path);
    if (!Expect(links[i].context != nullptr && links[i].context->err == 0, "an asynchronous connection"))
      return;
    Attach(links[i]);
    for (int n = 0; n < kCountsEach; ++n)
      redisAsyncCommand(links[i].context, Counted, nullptr, "INCR counter");
  }
  if (!Expect(Loop(links), "the loop came to its end")) return;
  for (const Link& link : links) {
    Expect(link.connected == 1 && link.counted == kCountsEach && link.errors == 0, "each connection counted");
    Expect(link.out_of_order == 0, "replies in order");
  }
  Context context = Connect(port);
  ExpectText(Owned(redisCommand(context.get(), "GET counter")), REDIS_REPLY_STRING,
             std::to_string(kConnections * kCountsEach), "the counter of all");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: %s PORT SOCKET LOCKED_PORT PASSWORD\n", argv[0]);
    return 2;
  }
  const int port = std::atoi(argv[1]);
  Context context = Connect(port);
  if (g_failures == 0) {
    Formats(context.get());
    Inventory(context.get());
    Reconnect(context.get(), port);
    Places(port, argv[2], std::atoi(argv[3]), argv[4]);
    Asynchronous(port, argv[2]);
  }
  std::printf("%d checks, %d failed\n", g_checks, g_failures);
  return g_failures == 0 ? 0 : 1;
}
